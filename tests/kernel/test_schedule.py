"""The order in which ready actors get their turn."""

import asyncio
from collections import deque

from callboard.kernel import Entropy, Kernel, KernelOptions, SeededSchedule
from tests.kernel.support import Clerk, Note, Urgent, on_kernel, settle


def order(seed, actors=20):
    """In which order actors handle three messages each: of pairs (actor, message)."""

    async def main():
        entropy = Entropy(seed)
        schedule = SeededSchedule(entropy)
        kernel = Kernel(KernelOptions(entropy=entropy, schedule=schedule, throughput=1))
        notes = []
        refs = [kernel.spawn(Clerk, notes) for _ in range(actors)]
        for turn in range(3):
            for number, ref in enumerate(refs):
                ref.tell(Note((number, turn)))
        await settle()
        kernel.close()
        return notes

    return asyncio.run(main())


def test_the_same_seed_gives_the_same_order():
    assert order(1) == order(1)


def test_other_seeds_give_other_orders():
    assert len({tuple(order(seed)) for seed in range(5)}) == 5


def test_a_seeded_schedule_interleaves_actors_and_keeps_the_order_within_each_mailbox():
    notes = order(3)

    assert notes != sorted(notes)
    for number in range(20):
        assert [turn for who, turn in notes if who == number] == [0, 1, 2]


def test_a_seeded_schedule_gives_back_each_one_once():
    schedule = SeededSchedule(Entropy(1))
    for number in range(100):
        schedule.append(number)
    taken = [schedule.popleft() for _ in range(len(schedule))]

    assert sorted(taken) == list(range(100))
    assert taken != list(range(100))
    assert len(schedule) == 0


def test_a_seeded_schedule_favours_nobody():
    schedule, first = SeededSchedule(Entropy(1)), []
    for _ in range(3000):
        for name in "abc":
            schedule.append(name)
        first.append(schedule.popleft())
        while len(schedule):
            schedule.popleft()

    assert all(800 < first.count(name) < 1200 for name in "abc")


def test_system_messages_overtake_whatever_the_seed():
    async def main(seed):
        kernel = Kernel(KernelOptions(schedule=SeededSchedule(Entropy(seed)), throughput=1))
        ref = kernel.spawn(Clerk)
        ref.tell(Note("data"))
        ref.tell(Urgent("system"))
        await settle()
        notes = ref.actor_inbox.actor.notes
        kernel.close()
        return notes

    for seed in range(5):
        assert asyncio.run(main(seed)) == [("urgent", "system"), "data"]


@on_kernel
async def test_by_default_the_first_to_become_ready_goes_first(kernel):
    notes = []
    refs = [kernel.spawn(Clerk, notes) for _ in range(5)]
    for number in (3, 1, 4, 0, 2):
        refs[number].tell(Note(number))
    await settle()

    assert notes == [3, 1, 4, 0, 2]


def test_an_actor_with_much_to_do_lets_the_others_have_their_turn():
    async def main():
        kernel = Kernel(KernelOptions(throughput=2))
        notes = []
        busy, calm = kernel.spawn(Clerk, notes), kernel.spawn(Clerk, notes)
        for _ in range(6):
            busy.tell(Note("busy"))
        calm.tell(Note("calm"))
        await settle()
        kernel.close()
        return notes

    assert asyncio.run(main()) == ["busy", "busy", "calm", "busy", "busy", "busy", "busy"]


def test_an_actor_stands_in_the_schedule_at_most_once():
    class Counted(deque):
        added = 0

        def append(self, mailbox):
            self.added += 1
            super().append(mailbox)

    async def main():
        schedule = Counted()
        kernel = Kernel(KernelOptions(schedule=schedule))
        ref = kernel.spawn(Clerk)
        for number in range(50):
            ref.tell(Note(number))
        waiting, added = len(schedule), schedule.added
        await settle()
        kernel.close()
        return waiting, added, len(schedule)

    assert asyncio.run(main()) == (1, 1, 0)
