"""Agents under any abort at any await: good ones pass, and bad ones are caught."""

import asyncio
from contextlib import asynccontextmanager, suppress
from itertools import count

import pytest

from callboard.domain.errors import InvalidValue
from callboard.testing import abort_everywhere


def story_of(agent, check=lambda result: None):
    def story():
        check((yield agent))

    return story


class Shelf:
    """A resource that is taken and given back without asyncio's help."""

    def __init__(self):
        self.taken = 0

    async def take(self):
        await asyncio.sleep(1)
        self.taken += 1
        await asyncio.sleep(1)

    def give_back(self):
        self.taken -= 1

    @asynccontextmanager
    async def lent(self):
        await asyncio.sleep(1)
        self.taken += 1
        try:
            await asyncio.sleep(1)
            yield
        finally:
            self.give_back()


def test_an_agent_with_context_managers_releases_its_locks_under_any_abort():
    def story():
        first, second = asyncio.Lock(), asyncio.Lock()

        async def agent(run):
            async with first:
                await asyncio.sleep(3600)
                async with second:
                    await asyncio.sleep(3600)
            return run.input

        result = yield agent
        assert not first.locked()
        assert not second.locked()
        assert result.status in ("success", "interrupted")

    assert abort_everywhere(story, input={"text": "hi"}) >= 4


def test_a_lock_that_is_not_released_when_the_second_is_awaited_is_found():
    def story():
        first, second = asyncio.Lock(), asyncio.Lock()

        async def rival():
            async with second:
                await asyncio.sleep(5)

        async def agent(run):
            await asyncio.sleep(1)
            await first.acquire()
            await second.acquire()  # an abort here keeps the first
            await asyncio.sleep(1)
            second.release()
            first.release()

        beside = asyncio.ensure_future(rival())
        yield agent
        beside.cancel()
        assert not first.locked(), "the first lock is held"

    with pytest.raises(AssertionError, match=r"the first lock is held") as caught:
        abort_everywhere(story)

    assert "aborted by interrupt before step" in str(caught.value)
    assert "in agent: await second.acquire()" in str(caught.value)


def test_an_abort_within_a_helper_s_await_is_found_and_named():
    def story():
        shelf = Shelf()

        async def agent(run):
            await shelf.take()
            shelf.give_back()

        yield agent
        assert shelf.taken == 0

    with pytest.raises(AssertionError, match=r"test_agents.py:\d+ in take: await asyncio.sleep"):
        abort_everywhere(story)


def test_aborts_reach_the_children_of_a_task_group():
    met = set()

    async def child(number):
        try:
            await asyncio.sleep(number)
        except asyncio.CancelledError:
            met.add(number)
            raise

    async def agent(run):
        async with asyncio.TaskGroup() as group:
            for number in (1, 2, 3):
                group.create_task(child(number))

    abort_everywhere(story_of(agent))

    assert met == {1, 2, 3}


def test_a_resource_that_a_gathered_child_keeps_is_found_with_the_child_s_line():
    def story():
        shelf = Shelf()

        async def child():
            await shelf.take()
            await asyncio.sleep(1)
            shelf.give_back()

        async def agent(run):
            await asyncio.gather(child(), child())

        yield agent
        assert shelf.taken == 0

    with pytest.raises(AssertionError, match=r"in take: await asyncio.sleep\(1\) \(a task of it\)"):
        abort_everywhere(story)


def test_except_exception_lets_aborts_through():
    async def agent(run):
        for _ in range(3):
            try:
                await asyncio.sleep(60)
            except Exception:  # noqa: BLE001 - what agents do
                await asyncio.sleep(3600)

    assert abort_everywhere(story_of(agent)) >= 6


def test_an_agent_that_swallows_the_abort_and_goes_on_is_found():
    async def agent(run):
        with suppress(BaseException):
            await asyncio.sleep(1)
        await asyncio.sleep(3600)

    with pytest.raises(
        AssertionError, match=r"still executes 30 s after, at .* in agent"
    ) as caught:
        abort_everywhere(story_of(agent))

    assert "while it waited at" in str(caught.value)


def test_an_agent_that_swallows_the_abort_and_ends_in_time_is_good():
    async def agent(run):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(5)
        return "what there is"

    assert abort_everywhere(story_of(agent)) >= 2


def test_the_grace_is_a_choice():
    async def agent(run):
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(5)

    assert abort_everywhere(story_of(agent), grace=6.0)
    with pytest.raises(AssertionError, match=r"still executes 4 s after"):
        abort_everywhere(story_of(agent), grace=4.0)


def test_a_cleanup_that_waits_for_ever_is_found():
    async def agent(run):
        answer = asyncio.Event()
        try:
            await asyncio.sleep(1)
            answer.set()
        finally:
            await answer.wait()

    with pytest.raises(AssertionError, match=r"still executes .* await answer.wait\(\)"):
        abort_everywhere(story_of(agent))


def test_a_task_that_only_an_abort_leaves_behind_is_found():
    async def beat():
        await asyncio.sleep(3600)

    async def agent(run):
        task = asyncio.create_task(beat(), name="heartbeat")
        await asyncio.sleep(1)
        task.cancel()

    with pytest.raises(
        AssertionError, match=r"aborted by interrupt .* left tasks behind"
    ) as caught:
        abort_everywhere(story_of(agent))

    assert "in beat: await asyncio.sleep(3600) (its task 'heartbeat')" in str(caught.value)


def test_a_shielded_child_that_outlives_the_run_is_found():
    async def write():
        await asyncio.sleep(60)

    async def agent(run):
        await asyncio.shield(write())

    with pytest.raises(AssertionError, match=r"left tasks behind, at .* in write"):
        abort_everywhere(story_of(agent))


def test_what_does_not_even_hold_without_an_abort_is_said_to_be_so():
    async def agent(run):
        raise ValueError("no such model")

    with pytest.raises(AssertionError, match=r"aborted by nobody .*no such model"):
        abort_everywhere(story_of(agent))


def test_aborts_come_before_between_and_after_what_the_agent_saves():
    seen = set()

    def story():
        saved = []

        async def agent(run):
            await run.checkpoint.save({"step": 1})
            saved.append(1)
            await asyncio.sleep(1)
            await run.checkpoint.save({"step": 2})
            saved.append(2)

        result = yield agent
        seen.add((str(result.status), len(saved)))

    abort_everywhere(story)

    assert seen >= {("interrupted", 0), ("interrupted", 1), ("success", 2)}


def test_async_generators_are_aborted_at_their_own_awaits():
    def story():
        shelf = Shelf()

        async def agent(run):
            yield "begun"
            await shelf.take()
            yield "taken"
            shelf.give_back()

        yield agent
        assert shelf.taken == 0

    with pytest.raises(AssertionError, match=r"in take: await asyncio.sleep"):
        abort_everywhere(story)


def test_an_agent_that_waits_for_its_abort_is_aborted_there():
    seen = set()

    async def agent(run):
        try:
            await run.abort.wait()
        finally:
            seen.add(run.abort.action)

    assert abort_everywhere(story_of(agent)) >= 2

    assert seen >= {"interrupt", "rollback"}


def test_a_second_abort_meets_the_agent_while_it_unwinds():
    seen = set()

    def story():
        async def agent(run):
            try:
                await asyncio.sleep(60)
            finally:
                before = run.abort.action
                await asyncio.sleep(1)
                seen.add((before, run.abort.action))

        yield agent

    once, both = abort_everywhere(story), abort_everywhere(story, twice=True)

    assert both > once
    assert ("interrupt", "rollback") in seen


def test_a_second_abort_that_breaks_the_agent_is_told_with_both_places():
    async def agent(run):
        try:
            await asyncio.sleep(60)
        finally:
            before = run.abort.action
            await asyncio.sleep(1)
            if before != run.abort.action:
                await asyncio.sleep(3600)

    assert abort_everywhere(story_of(agent))
    with pytest.raises(AssertionError, match=r"interrupt before step .*, then rollback before"):
        abort_everywhere(story_of(agent), twice=True)


def test_an_agent_without_end_is_refused():
    async def agent(run):
        for _ in count():
            await asyncio.sleep(1)

    with pytest.raises(AssertionError, match=r"aborted at more than 200 moments"):
        abort_everywhere(story_of(agent), longest=200)


def test_an_agent_that_goes_another_way_each_time_is_called_so():
    ways = iter([4, 0, 0, 0, 0])

    async def agent(run):
        for _ in range(next(ways, 0)):
            await asyncio.sleep(1)

    with pytest.raises(AssertionError, match=r"another way each time"):
        abort_everywhere(story_of(agent))


def test_plain_functions_are_refused():
    with pytest.raises(InvalidValue, match=r"give an async one"):
        abort_everywhere(story_of(lambda run: None))


def test_a_seed_is_another_order(callboard_seed):
    async def agent(run):
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))

    assert abort_everywhere(story_of(agent), seed=callboard_seed)


async def calm(run):
    await asyncio.sleep(1)


@pytest.mark.parametrize("run_id", ["my", " my ", None])
def test_its_run_may_have_any_id(run_id):
    assert abort_everywhere(story_of(calm), run_id=run_id) == abort_everywhere(story_of(calm))


async def unlike_a_generator():
    yield calm


@pytest.mark.parametrize("story", [lambda: calm, unlike_a_generator, story_of(calm)(), 5])
def test_a_story_that_is_no_generator_function_is_refused(story):
    with pytest.raises(InvalidValue, match=r"story is .*: give a generator function"):
        abort_everywhere(story)


def test_a_story_that_yields_no_agent_is_refused():
    def story():
        yield from ()

    with pytest.raises(InvalidValue, match=r"story is .*: have it yield the agent"):
        abort_everywhere(story)


@pytest.mark.parametrize(
    "options",
    [
        {"twice": 1},
        {"grace": -1},
        {"grace": "long"},
        {"seed": "1"},
        {"longest": 2.5},
        {"run_id": " "},
        {"timeout": 0},
    ],
    ids=str,
)
def test_an_argument_that_cannot_be_used_is_named(options):
    (name,) = options

    with pytest.raises(InvalidValue, match=f"{name} is"):
        abort_everywhere(story_of(calm), **options)
