"""What the simulator brought to light, each as the smallest story that showed it.

The seed is the one under which it was seen first.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from callboard import RestartPolicy
from callboard.actors.book import Phase
from callboard.actors.messages import Activate, Describe, Passivate, Release
from callboard.actors.supervisor import SupervisorActor
from callboard.domain import (
    CreateRunCommand,
    Fence,
    RunNotFound,
    RunSnapshot,
    RunStatus,
    RuntimeClosed,
    ThreadExists,
    slot_of,
)
from callboard.domain.store_errors import StoreUnavailable
from callboard.kernel import Crashed
from callboard.observers import Observed
from callboard.observers.journal_messages import Deliver
from callboard.store import Entry
from callboard.testing import SimulatedStore, simulate

SLOW = {"slow store": 1.0}


async def succeed(run):
    return "done"


async def sleep(run):
    await asyncio.sleep(60)


async def save_and_sleep(run):
    await run.checkpoint.save({"by": run.run_id})
    await asyncio.sleep(60)


class Witness:
    def __init__(self):
        self.heard = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def on_event(self, event):
        await self.gate.wait()
        self.heard.append(str(event.event_type))


def crash(runtime, ref):
    runtime._house.kernel._crash(ref.actor_inbox, ValueError("kaput"))


def observer(runtime, name):
    return runtime._house._observers[name]


def handle_with(ref, kind, handler):
    """Have an actor, as it is now, handle a kind of message otherwise. Returns how it did."""
    actor = ref.actor_inbox.actor
    before = actor.handlers[kind]
    actor.handlers = {**actor.handlers, kind: handler}
    return before


async def frames_of(runtime, run_id):
    return [frame.event async for frame in runtime.stream(run_id)]


async def until(condition):
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110 - virtual time: it costs nothing
            await asyncio.sleep(0.01)


def test_a_run_whose_record_was_stored_though_the_answer_was_lost_goes_on():
    """Seed 83: it stayed pending for ever, and blocked its thread."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            simulation.faults.kinds["answer lost"] = 1.0
            creating = asyncio.ensure_future(runtime.create_run("t", "agent"))
            await until(lambda: simulation.faults.happened["answer lost"] >= 2)
            simulation.faults.calm = True
            run = await creating
            assert (await runtime.wait(run.run_id)).status == "success"

    for seed in range(20):
        simulate(scenario, seed=seed)


class Doubtful(SimulatedStore):
    """Stores the first group and loses the answer, then refuses once."""

    answers = ("lost", "refused")

    async def commit(self, group):
        answer, self.answers = self.answers[:1], self.answers[1:]
        self._turbulence.kinds = {"answer lost": 1.0} if answer == ("lost",) else {}
        if answer == ("refused",):
            self._turbulence.kinds = {"store fails": 1.0}
        return await super().commit(group)


def test_what_was_in_doubt_stays_so_while_the_store_cannot_look():
    """Seed 3760, which had the store say that nothing is stored: it may not, before it looked."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime._house.wiring.journal.actor_inbox.actor._store = Doubtful(
                simulation.disk, simulation.faults
            )
            run = await runtime.create_run("t", "agent")
            assert (await runtime.wait(run.run_id)).status == "success"

    for seed in range(20):
        simulate(scenario, seed=seed)


def test_a_vital_actor_that_fails_is_told_as_the_end_of_the_runtime():
    """Seed 950: callers saw Pykka's ActorDeadError."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            await runtime.wait(run.run_id)
            crash(runtime, runtime._house.wiring.journal)
            with pytest.raises(RuntimeClosed, match=r"failed \(ValueError\('kaput'\)\)"):
                await runtime.delete_run(run.run_id)

    simulate(scenario)


def test_a_resumable_stream_begins_with_its_metadata_though_its_process_died_before_it():
    """Seed 104: it began with `error`."""

    async def scenario(simulation):
        memory, slot = simulation.disk.memory, slot_of("t")
        at = datetime(2000, 1, 1, tzinfo=UTC)
        epoch = await memory.claim([slot])
        request = CreateRunCommand(run_id="r", thread_id="t", assistant_id="agent", resumable=True)
        run = RunSnapshot(
            request=request, status=RunStatus.RUNNING, created_at=at, updated_at=at, attempt=1
        )
        memory.commit([Entry(Fence(slot, epoch), insert=run)])
        async with simulation.runtime({"agent": succeed}) as runtime:
            frames = [(frame.id, frame.event) async for frame in runtime.stream("r")]
            assert frames == [("1", "metadata"), ("2", "error"), ("3", "end")]

    simulate(scenario)


def test_stopping_a_thread_does_not_call_runs_ended_that_are_not():
    """Seeds 497 and 1476: it answered their ids when the runtime failed meanwhile."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": sleep}) as runtime:
            await runtime.create_run("t", "agent")
            simulation.faults.kinds["store hangs"] = 1.0
            stopping = asyncio.ensure_future(runtime.supervisor.stop_thread("t"))
            await asyncio.sleep(0.5)
            crash(runtime, runtime._house.wiring.stream)
            with pytest.raises(RuntimeClosed):
                await stopping

    simulate(scenario)


def test_an_observer_that_fails_in_its_first_instant_is_told_all_the_same():
    """Seed 255: nobody knew it yet, and it was never told anything."""
    witness = Witness()

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime.observe(witness, name="witness")
            crash(runtime, observer(runtime, "witness"))
            await runtime.create_and_wait("t", "agent")
            await until(lambda: "run_completed" in witness.heard)

    simulate(scenario)


@pytest.mark.parametrize("kind", ["run_started", "run_completed"])
def test_a_run_does_not_wait_for_what_a_required_observer_was_told_before_it_failed(kind):
    """Seed 2291: the group was lost with the failure, and the run waited for ever."""
    witness = Witness()

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime.observe(witness, required=True, name="witness")
            lost = []

            def lose(actor, message):
                kinds = [str(d.event.event_type) for d in message.deliveries]
                if kind in kinds and not lost:
                    lost.append(kinds)
                    raise ValueError("kaput")
                return deliver(actor, message)

            deliver = handle_with(observer(runtime, "witness"), Deliver, lose)
            run = await runtime.create_run("t", "agent")
            assert (await runtime.wait(run.run_id)).status == "success"
            assert lost

    simulate(scenario)


def test_a_run_does_not_wait_for_a_required_observer_that_is_forgotten():
    async def scenario(simulation):
        witness = Witness()
        async with simulation.runtime({"agent": succeed}) as runtime:
            observation = runtime.observe(witness, required=True)
            witness.gate.clear()
            run = await runtime.create_run("t", "agent")
            await asyncio.sleep(10)
            observation.close()
            assert (await runtime.wait(run.run_id)).status == "success"

    simulate(scenario)


def test_a_thread_that_fails_while_a_record_is_on_its_way_takes_up_the_run():
    """Seed 755: the record was stored behind its back, and stayed pending."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            await runtime.create_and_wait("t", "agent")
            creating = asyncio.ensure_future(runtime.create_run("t", "agent", run_id="r"))
            await until(lambda: runtime._house.registry.threads["t"].actor_inbox.actor._admission)
            crash(runtime, runtime._house.registry.threads["t"])
            with pytest.raises(Exception, match="kaput"):
                await creating
            await until(lambda: len(simulation.disk.memory._run_table._rows) == 2)
            assert (await runtime.wait("r")).status == "success"

    for seed in range(20):
        simulate(scenario, seed=seed, faults=SLOW)


def test_an_orphan_that_is_rolled_back_before_its_next_attempt_leaves_no_state():
    """Seed 1186: what its first attempt had saved stayed."""

    def runtime(simulation):
        runtime = simulation.runtime()
        runtime.register("agent", save_and_sleep, RestartPolicy(on_orphan="restart"))
        return runtime

    async def first(simulation):
        async with runtime(simulation) as running:
            await running.create_run("t", "agent", run_id="r")
            await asyncio.sleep(5)
            await simulation.die()

    async def second(simulation):
        assert await simulation.disk.memory.checkpoints.load("t") == {"by": "r"}
        simulation.faults.kinds["slow store"] = 1.0
        async with runtime(simulation) as running:
            assert await running.cancel("r", "rollback", wait=True)
            assert await simulation.disk.memory.checkpoints.load("t") is None

    for seed in range(20):
        simulate(first, second, seed=seed)


def test_a_deleted_run_leaves_nothing_that_is_written_later():
    """Seed 1569: the event that its thread was idle came behind the deletion."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            table = simulation.disk.memory._run_table
            await until(lambda: table.get(run.run_id).status is RunStatus.SUCCESS)
            assert await runtime.delete_run(run.run_id)
            await asyncio.sleep(10)
            assert await simulation.disk.memory.events.read() == []

    for seed in range(20):
        simulate(scenario, seed=seed, faults=SLOW)


def test_a_reader_who_came_before_its_run_was_in_memory_counts_as_one():
    """Seed 1720: after a restart the run was aborted when another reader left."""

    def runtime(simulation):
        runtime = simulation.runtime()
        runtime.register("agent", sleep, RestartPolicy(on_orphan="restart"))
        return runtime

    async def first(simulation):
        async with runtime(simulation) as running:
            await running.create_run("t", "agent", run_id="r", on_disconnect="cancel")
            await asyncio.sleep(5)
            await simulation.die()

    async def second(simulation):
        async with runtime(simulation) as running:
            streams = [running.stream("r"), running.stream("r")]
            seen = [asyncio.ensure_future(anext(stream)) for stream in streams]
            await asyncio.gather(*seen)
            await streams[0].aclose()
            assert (await running.wait("r")).status == "success"
            await streams[1].aclose()

    for seed in range(20):
        simulate(first, second, seed=seed, faults=SLOW)


@pytest.mark.parametrize("steps", range(0, 60, 3))
def test_whom_a_run_aborts_is_aborted_though_the_process_dies_in_between(steps):
    """Found by hypothesis: adopted after the death, they went on."""
    begun = []

    async def agent(run):
        begun.append(run.run_id)
        await asyncio.sleep(3)

    async def first(simulation):
        async with simulation.runtime({"agent": agent}) as running:
            await running.create_run("t", "agent", run_id="running")
            queued = {"run_id": "queued", "multitask_strategy": "enqueue"}
            await running.create_run("t", "agent", **queued)
            await asyncio.sleep(1)
            options = {"run_id": "last", "multitask_strategy": "rollback"}
            creating = asyncio.ensure_future(running.create_run("t", "agent", **options))
            for _ in range(steps):
                await asyncio.sleep(0)
            creating.cancel()
            await simulation.die()

    async def second(simulation):
        stored = simulation.disk.memory._run_table.get("last") is not None
        async with simulation.runtime({"agent": agent}) as running:
            await asyncio.sleep(60)
            queued = await running.get_run("queued")
            if stored:
                assert (queued.status, queued.action) == ("interrupted", "rollback")
                assert "queued" not in begun
            else:
                assert queued.status == "success"

    begun.clear()
    simulate(first, second, seed=steps)


def test_what_is_being_admitted_when_the_runtime_closes_does_not_begin_afterwards():
    """Seeds 1403 and 1589: its agent began while everything was taken down."""
    executing = []

    async def agent(run):
        executing.append(run.run_id)
        try:
            await asyncio.sleep(60)
        finally:
            executing.remove(run.run_id)

    async def scenario(simulation):
        runtime = simulation.runtime({"agent": agent}, abort_grace=5.0)
        await runtime.start()
        creating = asyncio.ensure_future(runtime.create_run("t", "agent"))
        for _ in range(simulation.seed):
            await asyncio.sleep(0)
        await runtime.aclose(0.0)
        assert executing == []
        creating.cancel()

    for seed in range(40):
        simulate(scenario, seed=seed, faults={"slow store": 0.3})


def test_closing_right_after_a_start_takes_up_no_run_behind_its_back():
    """Seed 408: an orphan's next attempt began while everything was taken down."""
    executing = []

    async def agent(run):
        executing.append(run.run_id)
        try:
            await asyncio.sleep(60)
        finally:
            executing.remove(run.run_id)

    def runtime(simulation):
        runtime = simulation.runtime(abort_grace=5.0)
        runtime.register("agent", agent, RestartPolicy(on_orphan="restart"))
        return runtime

    async def first(simulation):
        async with runtime(simulation) as running:
            await running.create_run("t", "agent")
            await asyncio.sleep(5)
            await simulation.die()

    async def second(simulation):
        running = runtime(simulation)
        await running.start()
        for _ in range(simulation.seed):
            await asyncio.sleep(0)
        await running.aclose(0.0)
        assert executing == []

    for seed in range(30):
        executing.clear()
        simulate(first, second, seed=seed)


def test_a_run_whose_actor_fails_together_with_its_threads_is_settled():
    """Seed 110367: the failure was told to an incarnation that failed itself."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": sleep}) as runtime:
            run = await runtime.create_run("t", "agent")
            registry = runtime._house.registry
            thread, actor = registry.threads["t"], registry.runs[run.run_id]
            crash(runtime, actor)
            thread.actor_inbox.system.clear()  # it fails instead of handling what it is told
            crash(runtime, thread)
            result = await runtime.wait(run.run_id)
            assert (result.status, result.stop_reason) == ("error", "actor_crashed")

    for seed in range(10):
        simulate(scenario, seed=seed)


def test_a_thread_that_is_asked_to_leave_while_something_waits_leaves_later():
    """Seed 221967: it stayed in memory until somebody needed it again."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}, passivate_after=10.0) as runtime:
            await runtime.create_and_wait("t", "agent")
            ref = runtime._house.registry.threads["t"]
            ref.send(Passivate())
            ref.send(Describe())
            runtime._house.supervisor._idle.clear()  # as the supervisor does when it asks
            await asyncio.sleep(60)
            assert runtime._house.registry.threads == {}

    simulate(scenario)


def test_an_abort_of_all_runs_waits_until_a_rebuilt_thread_knows_them():
    """Seen while `stop_thread` met a thread that had just failed: nothing was aborted."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": sleep}) as runtime:
            run = await runtime.create_run("t", "agent")
            crash(runtime, runtime._house.registry.threads["t"])
            simulation.faults.kinds["slow store"] = 1.0
            await asyncio.sleep(0.01)
            assert await runtime.supervisor.stop_thread("t") == (run.run_id,)
            assert (await runtime.get_run(run.run_id)).status == "interrupted"

    for seed in range(10):
        simulate(scenario, seed=seed)


def test_a_thread_that_could_not_be_brought_back_at_a_start_is_asked_for_again():
    """Seed 3415: its queued run waited until somebody else needed the thread."""

    async def first(simulation):
        async with simulation.runtime({"agent": sleep, "next": succeed}) as runtime:
            await runtime.create_run("t", "agent")
            await runtime.create_run("t", "next", run_id="r", multitask_strategy="enqueue")
            await simulation.die()

    async def second(simulation):
        runtime = simulation.runtime({"agent": sleep, "next": succeed})
        refusals = []

        def refuse(actor, message):
            if not refusals:
                refusals.append(message)
                raise ValueError("kaput")
            return SupervisorActor._activate(actor, message)

        handlers = SupervisorActor.handlers
        SupervisorActor.handlers = {**handlers, Activate: refuse}
        try:
            async with runtime:
                table = simulation.disk.memory._run_table
                await until(lambda: table.get("r").status is RunStatus.SUCCESS)
        finally:
            SupervisorActor.handlers = handlers
        assert refusals

    simulate(first, second)


def test_readers_are_let_go_though_the_run_fails_as_it_leaves_and_its_thread_has_left():
    """Seed 40770: the stream of a run on a temporary thread never ended."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            options = {"scope": "temporary_thread"}
            run = await runtime.create_run(None, "agent", run_id="r", **options)
            inbox = runtime._house.registry.runs["r"].actor_inbox

            def fail(actor, message):
                raise ValueError("kaput")

            inbox.actor.handlers = {**inbox.actor.handlers, Release: fail}
            frames = [frame.event async for frame in runtime.stream(run.run_id)]
            assert frames == ["metadata", "end"]

    for seed in range(10):
        simulate(scenario, seed=seed)


def test_an_orphan_that_is_rolled_back_as_its_next_attempt_starts_leaves_no_state():
    """Seed 180781806562: the attempt was there, but had not looked at the state yet."""

    def runtime(simulation):
        runtime = simulation.runtime()
        runtime.register("agent", save_and_sleep, RestartPolicy(on_orphan="restart"))
        return runtime

    async def first(simulation):
        async with runtime(simulation) as running:
            await running.create_run("t", "agent", run_id="r")
            await asyncio.sleep(5)
            await simulation.die()

    async def second(simulation):
        async with runtime(simulation) as running:
            for _ in range(simulation.seed % 40):
                await asyncio.sleep(0)
            assert await running.cancel("r", "rollback", wait=True)
            assert await simulation.disk.memory.checkpoints.load("t") is None

    for seed in range(400):
        simulate(first, second, seed=seed)


def test_a_stream_does_not_tell_an_end_from_the_record_before_required_observers_know():
    """Seed 706328328463: whoever read while the run was brought into memory heard it first."""
    witness = Witness()

    async def agent(run):
        witness.gate.clear()

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            runtime.observe(witness, required=True)
            run = await runtime.create_run("t", "agent")
            table = simulation.disk.memory._run_table
            await until(lambda: table.get(run.run_id).status is RunStatus.SUCCESS)
            runtime._house.wiring.stream.actor_inbox.actor._streams.clear()
            told = []

            async def read():
                async for frame in runtime.stream(run.run_id):
                    told.append(frame.event)  # noqa: PERF401 - it is looked at meanwhile

            reading = asyncio.ensure_future(read())
            for _ in range(50):
                await asyncio.sleep(0)
            assert told == []
            witness.gate.set()
            await reading
            assert told[-1] == "end"

    simulate(scenario)


def test_a_required_observer_that_read_ahead_of_the_answer_is_not_waited_for_again():
    """Seed 667767408: it was told from the log what its run did not know to be stored yet."""

    async def scenario(simulation):
        witness = Witness()
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime.observe(witness, required=True, name="witness")
            run = await runtime.create_run("t", "agent")
            (created, *_) = await simulation.disk.memory.events.read()
            ahead = replace(created, position=1_000_000)
            runtime._house.registry.runs[run.run_id].send(Observed(ahead, "witness", None))
            witness.gate.clear()
            assert (await runtime.wait(run.run_id)).status == "success"
            witness.gate.set()

    for seed in range(20):
        simulate(scenario, seed=seed, faults=SLOW)


def test_a_run_that_failed_after_its_end_leaves_though_its_thread_fails_as_well():
    """Seed 551036745739: its actor stayed, suspended."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            registry, kernel = runtime._house.registry, runtime._house.kernel
            thread, actor = registry.threads["t"], registry.runs[run.run_id]
            book = actor.actor_inbox.actor.book
            await until(lambda: book.phase is Phase.SETTLED or not actor.is_alive())
            if actor.is_alive() and run.run_id in registry.runs:
                del registry.runs[run.run_id]  # its thread has let it go
                crash(runtime, actor)
                crash(runtime, thread)
            await asyncio.sleep(600)
            assert not actor.is_alive()
            assert len(kernel) == 3

    for seed in range(30):
        simulate(scenario, seed=seed, faults={"delay": 0.5})


@pytest.mark.parametrize("refused", [False, True])
def test_a_temporary_thread_does_not_go_while_a_run_is_being_admitted_to_it(refused):
    """Seed 526194815337: the caller was told that the thread's actor had stopped."""

    async def scenario(simulation):
        end, gate = asyncio.Event(), asyncio.Event()

        async def agent(run):
            await end.wait()

        async with simulation.runtime({"agent": agent}) as runtime:
            first = await runtime.create_run("t", "agent", scope="temporary_thread")
            runs = runtime._house.wiring.store.runs
            looks = asyncio.Event()

            async def get(run_id, **how):
                looks.set()
                await gate.wait()
                if refused:
                    raise StoreUnavailable("a look-up", "the test wants it so")
                return await type(runs).__getattr__(runs, "get")(run_id, **how)

            runs.get = get
            creating = asyncio.ensure_future(
                runtime.create_run("t", "agent", run_id="second", scope="temporary_thread")
            )
            await looks.wait()
            end.set()
            await until(
                lambda: (
                    runtime._house.registry.runs[first.run_id].actor_inbox.actor.book.phase
                    is Phase.SETTLED
                )
            )
            gate.set()
            if refused:
                with pytest.raises(StoreUnavailable):
                    await creating
            else:
                await runtime.wait((await creating).run_id)
            del runs.get
            assert (await runtime.wait(first.run_id)).status == "success"
            assert await runtime.get_thread("t") is None

    simulate(scenario)


def test_a_run_is_let_go_though_its_temporary_thread_fails_while_it_is_deleted():
    """Seed 157617145578: who waited for it, waited for ever."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent", scope="temporary_thread")
            thread = runtime._house.registry.threads["t"]
            actor = thread.actor_inbox.actor
            await until(lambda: actor._erasing or not thread.is_alive())
            if thread.is_alive():
                crash(runtime, thread)
            async with asyncio.timeout(600):
                assert (await runtime.wait(run.run_id)).status == "success"
            assert await runtime.get_thread("t") is None

    for seed in range(20):
        simulate(scenario, seed=seed, faults={"slow store": 0.5})


def test_a_run_that_fails_while_its_temporary_thread_is_deleted_answers_who_waits():
    """Seed 1072781119069: nobody replaced its actor, and they waited for ever."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent", scope="temporary_thread")
            registry = runtime._house.registry
            thread, ref = registry.threads["t"], registry.runs[run.run_id]
            actor = thread.actor_inbox.actor
            await until(lambda: actor._erasing or not thread.is_alive())
            if thread.is_alive():
                crash(runtime, ref)
            async with asyncio.timeout(600):
                assert (await runtime.wait(run.run_id)).status == "success"
            assert await runtime.get_thread("t") is None

    for seed in range(20):
        simulate(scenario, seed=seed, faults={"slow store": 0.5})


def test_a_run_does_not_wait_for_what_a_failed_observer_was_to_be_told_again():
    """Seed 208695945973: it did, for ever."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime.observe(Witness(), required=True, name="witness")
            run = await runtime.create_run("t", "agent")
            ends = []

            def lose_the_answer(actor, message):
                if message.event.event_type != "run_completed" or ends:
                    return hear(actor, message)
                ends.append("heard")  # the run's end is committed again, and told again
                raise ValueError("kaput")

            def lose_the_question(actor, message):
                if ends == ["heard"]:
                    ends.append("lost")
                    raise ValueError("kaput")
                return deliver(actor, message)

            hear = handle_with(runtime._house.registry.runs[run.run_id], Observed, lose_the_answer)
            deliver = handle_with(observer(runtime, "witness"), Deliver, lose_the_question)
            async with asyncio.timeout(600):
                assert (await runtime.wait(run.run_id)).status == "success"
            assert ends == ["heard", "lost"]

    simulate(scenario)


def test_who_makes_a_thread_does_not_meet_it_when_the_answer_of_the_store_was_lost():
    """Seed 525: the record was written again, and found itself."""

    async def scenario(simulation):
        async with simulation.runtime() as runtime:
            simulation.faults.kinds["answer lost"] = 1.0
            making = asyncio.ensure_future(runtime.create_thread("t", metadata={"n": 1}))
            await until(lambda: simulation.faults.happened["answer lost"] >= 2)
            simulation.faults.calm = True
            assert await making == await runtime.get_thread("t")
            with pytest.raises(ThreadExists):
                await runtime.create_thread("t", metadata={"n": 1})

    for seed in range(20):
        simulate(scenario, seed=seed)


def test_who_makes_a_thread_hears_that_the_runtime_has_ended():
    """Seed 1011: it was pykka's error that came."""

    async def scenario(simulation):
        async with simulation.runtime() as runtime:
            simulation.faults.kinds["store hangs"] = 1.0
            making = asyncio.ensure_future(runtime.create_thread("t"))
            await asyncio.sleep(0.1)
            crash(runtime, runtime._house.wiring.journal)
            with pytest.raises(RuntimeClosed):
                await making

    simulate(scenario)


def test_a_run_that_is_asked_for_again_takes_its_place_at_the_end():
    """Seed 210045: it took the place that it had before it was rolled back and forgotten."""
    began = []

    async def agent(run):
        began.append(run.run_id)
        await asyncio.sleep(10)

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            options = {"multitask_strategy": "enqueue", "forget_on_rollback": True}
            await runtime.create_run("t", "agent", run_id="first")
            await runtime.create_run("t", "agent", run_id="again", **options)
            await runtime.create_run("t", "agent", run_id="second", **options)
            await runtime.cancel("again", "rollback", wait=True)
            await runtime.create_run("t", "agent", run_id="again", **options)
            await runtime.wait("again")
            assert began == ["first", "second", "again"]

    simulate(scenario)


@pytest.mark.parametrize("resumable", [False, True])
def test_a_run_that_is_asked_for_again_has_a_stream_of_its_own(resumable):
    """Seen beside seed 210045: its readers were told what had been forgotten."""

    async def agent(run):
        run.emit("say", "hello")
        await asyncio.sleep(10)

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            options = {"run_id": "again", "forget_on_rollback": True, "resumable": resumable}
            await runtime.create_run("t", "agent", **options)
            await asyncio.sleep(1.0)
            await runtime.cancel("again", "rollback", wait=True)
            assert (await frames_of(runtime, "again"))[-1] == "end"
            await runtime.create_run("t", "agent", **options)
            frames = [frame async for frame in runtime.stream("again")]
            assert [frame.event for frame in frames] == ["metadata", "say", "end"]
            assert frames[-1].data == {"status": "success"}

    simulate(scenario)


@pytest.mark.parametrize("resumable", [False, True])
def test_frames_do_not_outlive_their_thread(resumable):
    """Seed 9: they were read from memory, when all that was stored had been deleted."""

    async def agent(run):
        run.emit("say", "secret")

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            ended = await runtime.create_run("t", "agent", resumable=resumable)
            other = await runtime.create_run("u", "agent", resumable=resumable)
            await runtime.wait(ended.run_id)
            queued = await runtime.create_run("t", "agent", after_seconds=60.0)
            reading = asyncio.ensure_future(frames_of(runtime, queued.run_id))
            await asyncio.sleep(1.0)
            assert await runtime.delete_thread("t")
            for run in (ended, queued):
                with pytest.raises(RunNotFound):
                    await frames_of(runtime, run.run_id)
            assert "say" in await frames_of(runtime, other.run_id)
            with suppress(RunNotFound):  # it may be behind
                assert (await reading)[0] == "metadata"

    for seed in range(20):
        simulate(scenario, seed=seed, faults={"delay": 0.2})


def test_who_stops_a_thread_need_not_hear_of_a_run_that_is_deleted_meanwhile():
    """Seed 615722314051: its actor was said to have stopped."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            house = runtime._house
            ref = house.registry.runs[run.run_id]
            await runtime.wait(run.run_id)
            await runtime.delete_run(run.run_id)
            await until(lambda: not ref.is_alive())
            house.registry.runs[run.run_id] = ref  # as it was when the thread told what it stops
            await house.wait_for((run.run_id,))
            del house.registry.runs[run.run_id]

    simulate(scenario)


def test_a_run_that_failed_after_its_end_leaves_though_that_is_never_heard_of():
    """Seed 149389977441: its actor stayed, suspended; its thread had failed over the news."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            registry, kernel = runtime._house.registry, runtime._house.kernel
            thread, ref = registry.threads["t"], registry.runs[run.run_id]

            def fail(actor, message):
                raise ValueError("kaput")

            handle_with(ref, Release, fail)
            handle_with(thread, Crashed, fail)
            await asyncio.sleep(600)
            assert not ref.is_alive()
            assert len(kernel) == 3

    simulate(scenario)
