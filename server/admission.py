"""From the body of a request to a run: all of it is looked at before anything is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..actors.runtime import Runtime
from ..domain.commands import CreateRunCommand
from ..domain.conflicts import ThreadExists
from ..domain.enums import RunScope
from ..domain.views import RunSnapshot, ThreadSnapshot
from .bodies import RunBody
from .catalogue import Assistant, Catalogue
from .checkpoints import address, state_at
from .errors import Missing, Refused
from .graphs import Graphs
from .requests import options_of
from .webhooks import Webhooks

_GRAPH = "graph_id"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run that can be admitted, as far as its body tells.

    Args:
        body: what was asked for.
        assistant: whom it names.
        user_id: who asks.
        thread: the thread there is; `None` if it is to be made.
        command: what the runtime is asked for.

    """

    body: RunBody
    assistant: Assistant
    user_id: str | None
    thread: ThreadSnapshot | None
    command: CreateRunCommand


class Admissions:
    """Prepares runs, and admits what was prepared.

    A request that is refused leaves no thread behind, and its thread as it was.

    Args:
        runtime: runs them.
        catalogue: knows the assistants.
        graphs: knows the checkpoints.
        webhooks: knows which addresses may be told.
        changes: keeps runs from threads that are being changed.

    """

    def __init__(
        self,
        runtime: Runtime,
        catalogue: Catalogue,
        graphs: Graphs,
        webhooks: Webhooks,
    ) -> None:
        self._runtime = runtime
        self._catalogue = catalogue
        self._graphs = graphs
        self._webhooks = webhooks

    async def prepare(self, body: RunBody, user_id: str | None, thread_id: str | None) -> Wanted:
        """Find everything that a body would be refused for whatever else goes on.

        Args:
            body: the body.
            user_id: who asks.
            thread_id: its thread; `None` for a new one, which goes with the run unless it is
                to be kept.

        Raises:
            Refused: the body cannot be used.
            CallboardError: what `Runtime.prepare_run` raises.

        """
        assistant = self._catalogue.find(body.assistant_id)
        await self._webhooks.check(body.webhook)
        thread: ThreadSnapshot | None = None
        if thread_id is not None:
            thread = await self._runtime.get_thread(thread_id, user_id=user_id)
            if thread is None and body.if_not_exists != "create":
                raise Missing(f"There is no thread '{thread_id}': create it, or ask for 'create'.")
        elif body.command is not None and body.command.resume is not None:
            raise Refused(400, "command.resume needs a thread: nothing waits on a new one.")
        options = options_of(body, assistant, thread, user_id)
        if thread_id is not None:
            options["scope"] = "stateful"
        command = self._runtime.prepare_run(thread_id, assistant.name, **options)
        await self._check_checkpoint(command, thread)
        return Wanted(body, assistant, user_id, thread, command)

    async def _check_checkpoint(
        self, command: CreateRunCommand, thread: ThreadSnapshot | None
    ) -> None:
        """A run from a checkpoint that is none would begin with an empty state."""
        place = address(command.config.get("configurable"))
        if "checkpoint_id" not in place:
            return
        if thread is None:
            raise Missing("A new thread has no checkpoints: leave checkpoint_id out.")
        graph = self._graphs.of(command.assistant_id)
        if graph is not None and graph.threads.keeps_state:
            await state_at(graph.threads, thread.thread_id, place)

    async def admit(self, wanted: Wanted) -> RunSnapshot:
        """Admit a run.

        Raises:
            Missing: its thread has gone, or is somebody else's.
            CallboardError: what `Runtime.admit_run` raises.

        """
        command = wanted.command
        ours = {_GRAPH: wanted.assistant.name, "assistant_id": wanted.assistant.assistant_id}
        command, served_by = await self._place(wanted, ours)
        run = await self._runtime.admit_run(command)
        if served_by not in (None, ours[_GRAPH]):
            # Another graph takes the thread over, not before its run is there.
            await self._runtime.update_thread(run.thread_id, ours, user_id=wanted.user_id)
        self._webhooks.follow(run)
        return run

    async def _place(
        self, wanted: Wanted, ours: dict[str, Any]
    ) -> tuple[CreateRunCommand, str | None]:
        """See that the thread is there, with its graph; answers which one it had before."""
        command, thread, user_id = wanted.command, wanted.thread, wanted.user_id
        temporary = command.scope is RunScope.TEMPORARY_THREAD
        if temporary and wanted.body.on_completion != "keep":
            return command, None
        if thread is None:
            metadata = {**(wanted.body.metadata or {}), **ours}
            thread_id = None if temporary else command.thread_id
            try:
                thread = await self._runtime.create_thread(
                    thread_id, metadata=metadata, user_id=user_id
                )
            except ThreadExists:  # since a moment, or somebody else's
                thread = await self._runtime.get_thread(command.thread_id, user_id=user_id)
        if thread is None:
            raise Missing(f"There is no thread '{command.thread_id}'.")
        if temporary:
            options = options_of(wanted.body, wanted.assistant, thread, user_id)
            command = self._runtime.prepare_run(thread.thread_id, wanted.assistant.name, **options)
        graph = thread.metadata.get(_GRAPH)
        if graph is None:
            await self._runtime.update_thread(thread.thread_id, ours, user_id=user_id)
        return command, graph
