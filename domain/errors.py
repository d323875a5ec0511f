"""The hierarchy of errors; `conflicts` and `store_errors` have more of it.

The second base says what the caller may do (`Conflict`, `Unavailable`, `Fenced`,
`NotFound`), so that a server can map them without a table of its own. Each message says
what was asked, what is the case, and what to do. Errors carry their data as attributes
and pickle.
"""

from __future__ import annotations

_LONGEST_VALUE = 200
"""Characters of a refused value that a message shows."""


class CallboardError(Exception):
    """Base of every error that callboard raises."""

    def __init__(self, *data: object) -> None:
        super().__init__(*data)

    def __str__(self) -> str:
        return self._message()

    def _message(self) -> str:
        """What was asked, what is the case, what to do."""
        return " ".join(str(part) for part in self.args)


class InvalidValue(CallboardError, ValueError):
    """An argument cannot be used. Final: call again with another value.

    Args:
        field: the argument's name.
        value: what was given.
        remedy: what to give instead, in the imperative.

    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(field, value, remedy)
        self.field, self.value, self.remedy = field, value, remedy

    def _message(self) -> str:
        return f"{self.field} is {_shown(self.value)}: {self.remedy}."


class InvalidIdentifier(InvalidValue):
    """An identifier is blank, not a string, or not printable.

    Args:
        field: the argument's name.
        value: what was given.
        fault: what is wrong with it, after "which".

    """

    def __init__(self, field: str, value: object, fault: str) -> None:
        super().__init__(field, value, "give a non-empty printable string")
        self.fault = fault
        self.args = (field, value, fault)

    def _message(self) -> str:
        return f"{self.field} is {_shown(self.value)}, which {self.fault}: {self.remedy}."


class UnserialisablePayload(InvalidValue, TypeError):
    """A payload holds something that is not JSON."""


class UnsupportedStrategyError(InvalidValue):
    """The multitask strategy is none that callboard knows."""


class Conflict(CallboardError):
    """Final: the request contradicts what is the case. Asking again changes nothing."""


class Unavailable(CallboardError):
    """Retry with the same ids: the outcome of this call may be unknown."""


class Fenced(CallboardError):
    """Ends this activation: it no longer owns what it wanted to write."""


class NotFound(CallboardError, LookupError):
    """What was named does not exist, or not for this user."""


class RunNotFound(NotFound):
    """No such run, or it belongs to somebody else."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def _message(self) -> str:
        return f"There is no run '{self.run_id}': check the id, and the user_id if one is given."


class ThreadNotFound(NotFound):
    """No such thread, or it belongs to somebody else."""

    def __init__(self, thread_id: str) -> None:
        super().__init__(thread_id)
        self.thread_id = thread_id

    def _message(self) -> str:
        return (
            f"There is no thread '{self.thread_id}' for this user: "
            "check the thread_id and the user_id."
        )


class UnknownAgent(NotFound):
    """No agent is registered under that name.

    Args:
        assistant_id: the name asked for.
        known: the names there are.

    """

    def __init__(self, assistant_id: str, known: tuple[str, ...]) -> None:
        super().__init__(assistant_id, known)
        self.assistant_id, self.known = assistant_id, known

    def _message(self) -> str:
        names = ", ".join(f"'{name}'" for name in self.known) or "none"
        return (
            f"No agent is registered as '{self.assistant_id}' (known: {names}): "
            "pass it in agents= or call runtime.register()."
        )


class AgentFault(CallboardError):
    """An agent's own code raised where the agent was looked at, not run.

    Args:
        what: which code, as in "the factory of graph 'chat'".
        cause: its error, as text.

    """

    def __init__(self, what: str, cause: str) -> None:
        super().__init__(what, cause)
        self.what, self.cause = what, cause

    def _message(self) -> str:
        return f"{self.what} raised {self.cause}: mend it there, or give what it asks for."


class RuntimeClosed(Unavailable):
    """The runtime has not started, is closing or has closed.

    Args:
        state: what it is, for example `"closed"`.
        remedy: what to do, in the imperative.

    """

    def __init__(self, state: str, remedy: str = "use it inside 'async with Runtime(...)'") -> None:
        super().__init__(state, remedy)
        self.state, self.remedy = state, remedy

    def _message(self) -> str:
        return f"The runtime is {self.state}: {self.remedy}."


class RuntimeStarted(Conflict):
    """The runtime was started before."""

    def _message(self) -> str:
        return "The runtime has been started already: make another one if two are wanted."


class WrongLoop(CallboardError):
    """The runtime was called from an event loop that is not its own. Nothing was done."""

    def _message(self) -> str:
        return (
            "The runtime lives on another event loop: "
            "call it from there, or use Runtime.blocking() from other OS threads."
        )


class RuntimeBusy(Unavailable):
    """A bounded mailbox is full; nothing was taken. Safe to retry later.

    Args:
        target: whose mailbox it is.
        capacity: how many messages it holds.

    """

    def __init__(self, target: str, capacity: int) -> None:
        super().__init__(target, capacity)
        self.target, self.capacity = target, capacity

    def _message(self) -> str:
        return (
            f"The mailbox of {self.target} holds {self.capacity} messages and is full; "
            "nothing was taken: try again later."
        )


class ActorCrashed(Unavailable):
    """The actor that was asked failed before it answered. The outcome is unknown.

    Args:
        actor: which one.
        cause: its error, as text.

    """

    def __init__(self, actor: str, cause: str) -> None:
        super().__init__(actor, cause)
        self.actor, self.cause = actor, cause

    def _message(self) -> str:
        return (
            f"{self.actor} failed before it answered ({self.cause}): "
            "ask again with the same ids, and report the defect."
        )


class WouldDeadlock(CallboardError):
    """A blocking `get()` was called on the event loop that must produce the answer."""

    def _message(self) -> str:
        return (
            "get() would block the event loop that must answer it: "
            "await the future instead, or call get() from another OS thread."
        )


class RunAborted(CallboardError):
    """Raised in an agent by `run.abort.raise_if_requested()`.

    Args:
        action: the abort's action.

    """

    def __init__(self, action: str) -> None:
        super().__init__(action)
        self.action = action

    def _message(self) -> str:
        return f"The run was aborted with '{self.action!s}': clean up and return."


class AttemptFenced(Fenced):
    """An attempt that is over tried to write.

    Args:
        run_id: its run.

    """

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def _message(self) -> str:
        return (
            f"This attempt at run '{self.run_id}' is over, nothing it writes is kept: "
            "return from the agent."
        )


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer longer than Python writes as text
        return f"a very long {type(value).__name__}"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
