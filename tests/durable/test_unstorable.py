"""What a database cannot store is refused where it enters, and ends its run alone."""

import asyncio

import pytest

from callboard import Runtime
from callboard.domain import InvalidValue, RunStatus
from callboard.domain.errors import AttemptFenced
from callboard.store import MemoryStore
from callboard.store.entries import Outcome, Verdict
from tests.durable.house import AGENTS, runtime_on, url_of
from tests.support import virtual

SURROGATE = "a\ud800"


def fails(_):
    raise OSError(f"no file {SURROGATE}")


AGENTS_THAT_ASK_TOO_MUCH = {
    "title": lambda run: run.set_title(SURROGATE),
    "role": lambda run: run.message("ai\x00", "x"),
    "content": lambda run: run.message("ai", SURROGATE),
    "model": lambda run: run.record_usage(SURROGATE, 1, 0),
    "usage": lambda run: run.record_usage("m", 2**63, 0),
    "frame": lambda run: run.emit(SURROGATE, 1),
    "error": fails,
}


@pytest.mark.parametrize("agent", AGENTS_THAT_ASK_TOO_MUCH)
def test_a_run_that_says_what_cannot_be_stored_ends_in_error_and_is_stored_so(tmp_path, agent):
    async def story():
        async with runtime_on(url_of(tmp_path), agents=AGENTS_THAT_ASK_TOO_MUCH) as runtime:
            run = await runtime.create_run("t", agent, resumable=True)
            result = await runtime.wait(run.run_id)
            stored = await runtime.get_run(run.run_id)
            frames = [frame async for frame in runtime.stream(run.run_id)]

            assert result.status is RunStatus.ERROR
            assert (stored.status, stored.error) == (result.status, result.error)
            assert [frame.event for frame in frames] == ["metadata", "error", "end"]

    asyncio.run(story())


class PickyStore(MemoryStore):
    """Cannot store messages."""

    def commit(self, group):
        return [self._outcome(entry) for entry in group]

    def _outcome(self, entry):
        if any(event.category == "message" for event in entry.events):
            return Outcome(Verdict.FAILED, error="too large")
        return MemoryStore.commit(self, [entry])[0]


@virtual
async def test_a_run_whose_records_the_store_cannot_take_fails_and_frees_its_thread():
    async with Runtime(AGENTS, PickyStore()) as runtime:
        result = await runtime.create_and_wait("t", "echo", input="a")

        assert result.status is RunStatus.ERROR
        assert "cannot be stored (too large)" in result.error
        assert (await runtime.get_run(result.run_id)).status is RunStatus.ERROR
        assert await runtime.thread_status("t") == "error"


def test_a_bound_beyond_every_number_is_refused_at_once(tmp_path):
    async def story():
        async with runtime_on(url_of(tmp_path)) as runtime:
            await runtime.create_and_wait("t", "echo", input="a")
            with pytest.raises(InvalidValue, match="give at most"):
                await runtime.list_messages("t", after_seq=2**70)

    asyncio.run(story())


@virtual
async def test_a_state_is_not_written_once_its_attempt_is_over():
    """Though it was asked for before: by a task that the agent left behind."""
    store = MemoryStore()
    left = []

    async def leaves(run):
        left.append(run)

    async with Runtime({"leaves": leaves}, store) as runtime:
        result = await runtime.create_and_wait("t", "leaves")
        checkpoint, gate = left[0].checkpoint, left[0]._gate
        gate.closed = False
        checkpoint._actor = ClosesTheGate(gate)
        with pytest.raises(AttemptFenced, match=result.run_id):
            await checkpoint.save("late")

        assert await store.checkpoints.load("t") is None


class ClosesTheGate:
    """Answers a question; meanwhile the attempt is abandoned."""

    def __init__(self, gate):
        self._gate = gate

    async def request(self, _):
        self._gate.closed = True
