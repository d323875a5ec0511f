"""The part of `Runtime` that creates runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Unpack

from ..domain.commands import CreateRunCommand
from ..domain.enums import RunScope
from ..domain.errors import InvalidValue, RuntimeClosed
from ..domain.identifiers import AssistantId, ThreadId
from ..domain.store_errors import OutcomeUnknown
from ..domain.views import RunSnapshot
from .messages import Create, Withdraw
from .options import RunOptions, command_fields
from .thread_calls import ThreadCalls

if TYPE_CHECKING:
    from .house import House


class RunCreation(ThreadCalls):
    """Runs as they come to be."""

    async def create_run(
        self, thread_id: str | None, assistant_id: str, **options: Unpack[RunOptions]
    ) -> RunSnapshot:
        """Admit a run. When this returns, its record is stored.

        Args:
            thread_id: the conversation; `None` makes one, unless the scope is `stateful`.
            assistant_id: the agent's name.
            options: see `RunOptions`.

        Raises:
            UnknownAgent: no agent has that name.
            ConflictError: strategy `reject`, and a run is in flight.
            QueueFullError: too many runs wait on the thread.
            ThreadNotFound: the thread belongs to somebody else.
            InvalidValue: an argument cannot be used.
            Unavailable: nothing is known of the outcome; ask again with the same ids.

        """
        command = self.prepare_run(thread_id, assistant_id, **options)
        return await self.admit_run(command, chosen=options.get("run_id") is not None)

    def prepare_run(
        self, thread_id: str | None, assistant_id: str, **options: Unpack[RunOptions]
    ) -> CreateRunCommand:
        """What `create_run` would ask for, checked, and not asked for yet.

        Raises:
            UnknownAgent: no agent has that name.
            InvalidValue: an argument cannot be used.

        """
        command = self._command(self._open_house(), thread_id, assistant_id, options)
        check = getattr(self._agents.executor(command.assistant_id), "check", None)
        if check is not None:
            check(command)
        return command

    async def admit_run(self, command: CreateRunCommand, *, chosen: bool = False) -> RunSnapshot:
        """Admit a run that was prepared.

        Args:
            command: from `prepare_run`.
            chosen: the caller chose its id, and may have asked before.

        Raises:
            ConflictError: strategy `reject`, and a run is in flight.
            QueueFullError: too many runs wait on the thread.
            ThreadNotFound: the thread belongs to somebody else.
            Unavailable: nothing is known of the outcome; ask again with the same ids.

        """
        house = self._open_house()
        if house.registry.closing:
            raise RuntimeClosed("closing", "create the run on another runtime")
        create = Create(command, chosen)
        patience = house.wiring.settings.store_timeout
        try:
            async with asyncio.timeout(patience):
                answer: RunSnapshot = await self._locate(command.thread_id).ask(
                    command.thread_id, create
                )
        except TimeoutError as error:
            cause = f"no answer for {patience:g} seconds"
            raise OutcomeUnknown(f"run '{command.run_id}'", cause) from error
        except asyncio.CancelledError:
            house.tell(command.thread_id, Withdraw(command.run_id))
            raise
        return answer

    def _command(
        self, house: House, thread_id: str | None, assistant_id: str, options: RunOptions
    ) -> CreateRunCommand:
        fields = command_fields(options)
        entropy, now = house.kernel.entropy, house.kernel.clock.now()
        if thread_id is None:
            if fields.get("scope", RunScope.STATEFUL) == RunScope.STATEFUL:
                raise InvalidValue(
                    "thread_id", None, "name the thread, or choose another scope than 'stateful'"
                )
            thread_id = entropy.new_id(now)
        fields.setdefault("run_id", entropy.new_id(now))
        assistant = AssistantId(assistant_id)
        return CreateRunCommand(thread_id=ThreadId(thread_id), assistant_id=assistant, **fields)

    def _locate(self, thread_id: str) -> Any:
        if self._directory is None:
            raise RuntimeClosed(self.state)
        return self._directory.locate(thread_id)
