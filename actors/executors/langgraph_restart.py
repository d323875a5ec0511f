"""What an attempt hands its graph: the input, the command, or nothing because it goes on.

| attempts before | checkpoint of the run | its command | handed to the graph |
| --- | --- | --- | --- |
| none | - | - | the command, else the input |
| failed | yes | any | nothing: the graph goes on behind it |
| failed | no | none | the input, anew: the graph has not taken it |
| failed | no | not saved | the command, anew |
| failed | no | saved | nothing: the graph finds it in the checkpoint it was saved on |
| failed | no | a map of answers | the answers that no task has taken |

What a step's other tasks finished before one failed is kept in all cases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.types import RESUME
from langgraph.types import Command

from .langgraph_request import command_of
from .langgraph_saver import COMMANDS, UndoLog
from .langgraph_state import Captured, root_of

if TYPE_CHECKING:
    from ..context import RunContext

_INTERRUPT_ID = re.compile("[0-9a-f]{32}")


class Start(NamedTuple):
    """How an attempt starts."""

    given: Any
    """What the graph is handed."""
    resumed: bool
    """It goes on behind the run's own last checkpoint."""


async def start_of(
    run: RunContext, saver: BaseCheckpointSaver[Any] | None, captured: Captured
) -> Start:
    """Decide how an attempt starts, by the table above.

    Raises:
        InvalidValue: the run's command cannot be used.

    """
    command = command_of(run.command)
    if run.attempt == 1 or saver is None:
        return Start(run.input if command is None else command, resumed=False)
    head = await saver.aget_tuple(root_of(captured.thread_id))
    if head is not None and head.metadata.get("run_id") == run.run_id:
        return Start(None, resumed=True)
    if command is None:
        return Start(run.input, resumed=False)
    undo = captured.undo
    if head is not None and undo.commanded and undo.answered and not _is_map(command.resume):
        # The answer is saved for whoever asks next. It has been taken: none is the one
        # answer that LangGraph passes by.
        await saver.aput_writes(head.config, [(RESUME, None)], COMMANDS)
    return Start(_rest(command, undo), resumed=False)


def _rest(command: Command[Any], undo: UndoLog) -> Command[Any] | None:
    answers: Any = command.resume
    if not _is_map(answers):
        return None if undo.commanded else command
    left = {key: value for key, value in answers.items() if key not in undo.answered}
    if not left:
        return None
    if undo.commanded:
        return Command(resume=left)
    return Command(resume=left, update=command.update, goto=command.goto)


def _is_map(resume: Any) -> bool:
    """Whether it answers interrupts by their ids; LangGraph saves no such map."""
    return isinstance(resume, Mapping) and all(map(_INTERRUPT_ID.fullmatch, resume))
