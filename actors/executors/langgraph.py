"""The executor for LangGraph graphs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakValueDictionary

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.graph import END
from langgraph.pregel import Pregel
from langgraph.types import Command

from ...domain.enums import CancelAction, RunScope
from ...domain.payload import JSON
from ...store.graph_checkpoints import GraphCheckpoints
from .base import AttemptOutput
from .graphs import GraphFactory, GraphUse
from .langgraph_drawing import GraphDrawing
from .langgraph_frames import STREAM_MODES, frame_name, graph_modes, to_json
from .langgraph_messages import WHOLE, GrowingMessages
from .langgraph_parts import hidden_in, parts_of
from .langgraph_request import check, config_of, durability_of, is_addressed
from .langgraph_restart import start_of
from .langgraph_saver import FencedSaver
from .langgraph_source import GivenGraph, GraphSource, MadeGraphs, compiled
from .langgraph_state import (
    Captured,
    capture_thread,
    keeps_changes,
    restore_thread,
    root_of,
    values_in,
)
from .langgraph_store import StoreSaver, writing_behind
from .langgraph_threads import GraphThreads
from .langgraph_usage import Conversation
from .langgraph_views import read_state, try_update
from .os_threads import OsThreadCalls

if TYPE_CHECKING:
    from ...domain.commands import CreateRunCommand
    from ..context import RunContext

Graph: TypeAlias = Pregel[Any, Any, Any, Any]


class LangGraphExecutor:
    """Drives a LangGraph graph: streams it as frames, and keeps its state by checkpoints.

    `run.config` may hold `configurable` (with `checkpoint_id` to start from an older
    checkpoint of the thread), `metadata`, `tags`, `recursion_limit`, `max_concurrency`,
    `durability` (`sync`, `async` or `exit`), and `stream_subgraphs`: true adds the frames of
    subgraphs, named `mode|namespace`.

    A restarted attempt goes on behind the last checkpoint its run has saved, and takes the
    input only if there is none. A run that is not `stateful` has checkpoints of its own,
    in memory, for each attempt: its restart begins anew.

    After an abort the graph's state is that of its last finished step, with what tasks of
    the unfinished one had finished; no step is left to come, and nothing waits for a human.

    Args:
        graph: compiled or not, or a `GraphFactory`. Without a checkpointer it gets one, so that
            its threads are remembered; `checkpointer=False` leaves it without. Graphs that are
            made for each use get one in any case.
        kept: where its threads are remembered then; `None` for memory.

    Raises:
        InvalidValue: it is no graph.

    """

    def __init__(self, graph: object, kept: GraphCheckpoints | None = None) -> None:
        self._made = isinstance(graph, GraphFactory)
        self._saver: BaseCheckpointSaver[Any] | None
        if isinstance(graph, GraphFactory):
            self._source: GraphSource = MadeGraphs(graph)
            self._saver = _saver_beside(kept)
        else:
            given = compiled(graph)
            self._source, self._saver = GivenGraph(given), _saver_of(given, kept)
        kept_source = self._source if self._saver is None else self._source.kept_by(self._saver)
        self.threads = GraphThreads(kept_source, self._saver)
        """Its threads, seen from outside of a run."""
        self.drawing = GraphDrawing(self._source)
        """What it is made of."""
        self._captured: WeakValueDictionary[str, Captured] = WeakValueDictionary()
        """What `capture` returned, for as long as the runtime keeps it."""

    def check(self, request: CreateRunCommand) -> None:
        """Find what the graph could not be run with, before the run is accepted.

        Raises:
            InvalidValue: `stream_mode`, `command` or `config` cannot be used.

        """
        check(request)

    async def capture(self, run: RunContext) -> Captured:
        """Remember the thread's latest checkpoint; no history is read.

        Raises:
            InvalidValue: the request cannot be used, or a pending write is malformed.

        """
        check(run)
        captured = Captured(run.thread_id, None, run.run_id)
        if self._saver is not None and run.scope is RunScope.STATEFUL:
            captured, head = await capture_thread(
                self._saver, run.thread_id, run.run_id, run.attempt
            )
            if head is not None:
                await self._skip_known(run, captured, head, self._saver)
        self._captured[run.run_id] = captured
        return captured

    async def _skip_known(
        self,
        run: RunContext,
        captured: Captured,
        start: CheckpointTuple | None,
        saver: BaseCheckpointSaver[Any],
    ) -> None:
        """Take the messages that the run starts with as recorded."""
        resumed = captured.inherited
        if is_addressed(run) and not resumed:
            start = await saver.aget_tuple(config_of(run, resumed=False))
        if start is None:
            return
        talk = Conversation(run, captured.seen)
        for values in values_in(start):
            talk.skip(values)
        if keeps_changes(start):
            async with self._opened(run) as given:
                graph = given.copy({"checkpointer": saver})
                state = await read_state(graph, config_of(run, resumed=resumed))
            talk.skip(state.values)

    async def execute(self, run: RunContext) -> AttemptOutput:
        """Run the graph to its end, to a stop for a human, or until it has unwound.

        Unwound means that the tasks of its nodes have ended and that no OS thread executes
        a plain node or tool of it any more. A fenced attempt is not waited for.

        Returns:
            the last values of what the graph gives as its output; where it stopped,
            `completion_data` holds `interrupts` (empty at a breakpoint) and `next`, the nodes
            to come.

        Raises:
            Exception: whatever the graph raised.
            asyncio.CancelledError: the graph has unwound.

        """
        captured = self._captured.get(run.run_id) or await self.capture(run)
        calls = OsThreadCalls()
        work = asyncio.create_task(self._drive(run, captured, calls), name=f"graph {run.run_id}")
        try:
            return await _unwound(work, calls, run)
        except asyncio.CancelledError:
            if run.abort.action is CancelAction.INTERRUPT and not run.fenced:
                await self._drop_unfinished_step(run, captured)
            raise

    async def restore(self, run: RunContext, captured: Captured) -> None:
        """Make the thread's checkpoints and pending writes those before the run.

        See `langgraph_state` for how, and for what is atomic.
        """
        if self._saver is not None and run.scope is RunScope.STATEFUL:
            await restore_thread(self._saver, captured)

    async def _drop_unfinished_step(self, run: RunContext, captured: Captured) -> None:
        """Leave no step to come, if the run has begun one; what its tasks finished is kept."""
        if self._saver is None or run.scope is not RunScope.STATEFUL:
            return
        head = await self._saver.aget_tuple(root_of(run.thread_id))
        begun = head is not None and head.metadata.get("run_id") == run.run_id
        if begun or captured.undo.commanded:
            fence = FencedSaver(self._saver, run, captured.undo)
            async with self._opened(run, "threads.update") as given:
                graph = given.copy({"checkpointer": fence})
                await graph.aupdate_state(config_of(run, resumed=True), None, as_node=END)

    def _opened(
        self, run: RunContext, use: GraphUse = "threads.create_run"
    ) -> AbstractAsyncContextManager[Graph]:
        config = config_of(run, resumed=False) if self._made else {}
        return self._source.opened(config, use, run.context)

    def _saver_for(self, run: RunContext) -> BaseCheckpointSaver[Any] | None:
        if self._saver is None or run.scope is RunScope.STATEFUL:
            return self._saver
        return InMemorySaver(serde=self._saver.serde)  # it goes with the attempt

    async def _drive(
        self, run: RunContext, captured: Captured, calls: OsThreadCalls
    ) -> AttemptOutput:
        calls.watch()
        durability = durability_of(run.config)
        async with (
            self._opened(run) as graph,
            writing_behind(self._saver_for(run), durability) as saver,
        ):
            return await self._run(graph, saver, run, captured)

    async def _run(
        self,
        graph: Graph,
        saver: BaseCheckpointSaver[Any] | None,
        run: RunContext,
        captured: Captured,
    ) -> AttemptOutput:
        if saver is not None:
            fence = FencedSaver(saver, run, captured.undo)
            graph = graph.copy({"checkpointer": fence})
        start = await start_of(run, saver, captured)
        if saver is not None and isinstance(start.given, Command) and start.given.update:
            await try_update(graph, config_of(run, resumed=False), start.given)
        hidden = frozenset[str]() if saver is None else hidden_in(graph)
        reader = _Reader(run, captured, hidden, fresh=not start.resumed)
        async with aclosing(parts_of(graph, run, start, whole=bool(hidden))) as parts:
            async for namespace, mode, data in parts:
                reader.take(namespace, mode, data)
                await run.flush()
        if not reader.stopped:
            return AttemptOutput(reader.output)
        state = await graph.aget_state({"configurable": {"thread_id": captured.thread_id}})
        stop = {"interrupts": to_json(state.interrupts), "next": list(state.next)}
        return AttemptOutput(reader.output, stop)


class _Reader:
    """Turns the parts of a graph's stream into frames, messages and the run's output.

    Args:
        run: takes them.
        captured: what its attempts have in common.
        hidden: what of the state the values leave out; the checkpoints have all of it.
        fresh: the attempt does not go on from a checkpoint of the run.

    """

    def __init__(
        self, run: RunContext, captured: Captured, hidden: Collection[str], *, fresh: bool
    ) -> None:
        self._run = run
        self._captured = captured
        self._hidden = hidden
        self._wanted = frozenset(graph_modes(run.stream_mode))
        self._whole = GrowingMessages() if WHOLE in run.stream_mode else None
        self._pieces = self._whole is None or any(
            STREAM_MODES[mode] == "messages" for mode in run.stream_mode if mode != WHOLE
        )
        self._talk = Conversation(run, captured.seen)
        self._repeated = fresh and captured.began
        """The input is given once more: its messages are recorded already."""
        self._values: Any = None
        self.stopped = False
        """The graph stopped for a human or at a breakpoint."""

    @property
    def output(self) -> JSON:
        """The last values of the graph's output, as JSON."""
        return to_json(self._values)

    def take(self, namespace: tuple[str, ...], mode: str, data: Any) -> None:
        """Take the next part."""
        if mode == "messages" and self._whole is not None:
            for kind, grown in self._whole.take(data):
                self._run.emit(frame_name(kind, namespace), grown)
        if mode in self._wanted and (self._pieces or mode != "messages"):
            self._run.emit(frame_name(mode, namespace), to_json(data))
        if namespace:
            return
        if mode == "updates" and isinstance(data, Mapping) and INTERRUPT in data:
            self.stopped = True
        elif mode == "values":
            if isinstance(data, Mapping):
                data = {key: value for key, value in data.items() if key != INTERRUPT}
            self._values = data
            self._follow(data, whole=not self._hidden)
        elif mode == "checkpoints" and self._hidden and data["metadata"].get("source") != "input":
            # One whose source is the input has the state from before it.
            state: Mapping[str, Any] = data["values"]
            self._values = {key: state[key] for key in state if key not in self._hidden}
            self._follow(state, whole=True)

    def _follow(self, state: Any, *, whole: bool) -> None:
        """Record the messages of a state; `whole` tells the first that has all of the input."""
        if self._repeated:
            self._repeated = not whole
            self._talk.skip(state)
        self._talk.follow(state)
        self._captured.began = True


async def _unwound(
    work: asyncio.Task[AttemptOutput], calls: OsThreadCalls, run: RunContext
) -> AttemptOutput:
    """Wait for the graph and its OS threads, cancelling it once however often we are."""
    work.add_done_callback(_look)
    cancelled: asyncio.CancelledError | None = None
    while left := {*calls.abandoned, *(() if work.done() else (work,))}:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError as error:
            if cancelled is None or run.fenced:
                work.cancel()
            if run.fenced:
                raise
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return work.result()


def _look(work: asyncio.Task[AttemptOutput]) -> None:
    """How a graph ended that was cancelled does not matter, not even to asyncio."""
    if not work.cancelled():
        work.exception()


def _saver_of(graph: Graph, kept: GraphCheckpoints | None) -> BaseCheckpointSaver[Any] | None:
    if graph.checkpointer is False:
        return None
    if isinstance(graph.checkpointer, BaseCheckpointSaver):
        return graph.checkpointer
    return _saver_beside(kept)


def _saver_beside(kept: GraphCheckpoints | None) -> BaseCheckpointSaver[Any]:
    return InMemorySaver() if kept is None else StoreSaver(kept)
