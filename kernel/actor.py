"""The base of all actors that live on an event loop."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import pykka
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

from .ambient import current_kernel
from .mailbox import Envelope, Mailbox
from .messages import Begin
from .ref import LoopRef

if TYPE_CHECKING:
    from .future import LoopFuture
    from .kernel import Kernel

H = TypeVar("H", bound=Callable[..., Any])

_PYKKA_MESSAGES = (_ActorStop, ProxyCall, ProxyGetAttr, ProxySetAttr)


def handles(message: type[Any], *, system: bool = False) -> Callable[[H], H]:
    """Mark a method as the handler of one type of message.

    Args:
        message: the type; subclasses of it are other messages.
        system: its messages overtake data messages, also while an async handler of the
            same actor waits; such a handler must be sync.

    """

    def mark(function: H) -> H:
        if system and iscoroutinefunction(function):
            raise TypeError(f"{function.__qualname__} handles system messages: make it sync")
        marks = getattr(function, "_handles", ())
        function._handles = (*marks, (message, system))  # type: ignore[attr-defined]
        return function

    return mark


class LoopActor(pykka.Actor):
    """A Pykka actor without an OS thread: `kernel.spawn(MyActor, …)` starts it.

    All its code runs on the kernel's event loop, one message at a time. Handlers may be
    sync or async; while an async one waits, the next data message waits too.
    `on_start` (sync or async) runs before the first message; `on_stop` and `on_failure`
    are sync and mean what they mean in Pykka.
    """

    mailbox_capacity: ClassVar[int] = 1_000_000_000
    """How many data messages may wait. Set it where outsiders can fill the mailbox."""
    supervised: ClassVar[bool] = False
    """When it crashes it is suspended, and its parent gets `Crashed` and decides."""

    starts: ClassVar[bool] = False
    """Whether the class has an `on_start`. Set by the kernel's base class itself."""
    batches: ClassVar[bool] = False
    """Whether the class has an `on_turn_end`. Set by the kernel's base class itself."""
    handlers: ClassVar[dict[type[Any], Callable[..., Any]]] = {}
    system_messages: ClassVar[frozenset[type[Any]]] = frozenset()

    _mailbox: Mailbox
    _envelope: Envelope[Any] | None = None
    """The envelope whose sync handler is running."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._collect_handlers()

    @classmethod
    def _collect_handlers(cls) -> None:
        cls.handlers = dict(cls.handlers)
        system = set(cls.system_messages)
        for name, function in vars(cls).items():
            for message, is_system in getattr(function, "_handles", ()):
                cls.handlers[message] = vars(cls)[name]
                (system.add if is_system else system.discard)(message)
        cls.system_messages = frozenset(system)
        cls.starts = cls.on_start is not pykka.Actor.on_start
        cls.batches = cls.on_turn_end is not LoopActor.on_turn_end

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        # Pykka's own makes a uuid4, a queue and a threading.Event. The kernel has put a
        # mailbox in place before this runs, so a subclass need not even call it.
        if not hasattr(self, "_mailbox"):
            raise TypeError(
                f"{type(self).__name__} was called directly: start it with kernel.spawn()"
            )

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> LoopRef[Self]:
        """Start an actor on the current kernel.

        Raises:
            RuntimeError: there is none.

        """
        return current_kernel().spawn(cls, *args, **kwargs)

    @property
    def kernel(self) -> Kernel:
        """Where it lives."""
        return self._mailbox.kernel

    @property
    def actor_ref(self) -> LoopRef[Self]:
        """A reference to itself that may be passed around."""
        return LoopRef(self._mailbox)

    @property
    def _actor_ref(self) -> LoopRef[Self]:  # type: ignore[override]
        return LoopRef(self._mailbox)

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """Its name, unique in this process."""
        return self._mailbox.urn

    @property
    def actor_inbox(self) -> Mailbox:  # type: ignore[override]
        """Its mailbox."""
        return self._mailbox

    @property
    def actor_stopped(self) -> Mailbox:  # type: ignore[override]
        """Has `is_set()`, as Pykka's event has."""
        return self._mailbox

    # What handlers may use.

    def defer(self) -> LoopFuture[Any] | None:
        """Take the reply to the message being handled upon oneself.

        Only in a sync handler. If the actor stops before it has answered, the
        kernel answers with an error. A new incarnation after a crash owes what the old one
        did; `disown` settles it.

        Returns:
            the future to answer; `None` if nobody asked.

        """
        envelope = self._envelope
        if envelope is None or envelope.reply_to is None:
            return None
        future: LoopFuture[Any] = envelope.reply_to  # type: ignore[assignment]
        envelope.reply_to = None
        self._mailbox.owe(future)
        return future

    def forward(self, ref: LoopRef[Any], message: Any) -> None:
        """Have another actor answer the message being handled, by handling `message`."""
        envelope = self._envelope
        reply = None if envelope is None else envelope.reply_to
        if envelope is not None:
            envelope.reply_to = None
        self.kernel.post(ref.actor_inbox, Envelope(message, reply))

    def disown(self, error: Exception) -> None:
        """Answer everything that is still owed with an error."""
        self._mailbox.answer_owed(error)

    def pause(self) -> None:
        """Let data messages wait until `resume`; system messages go on."""
        self._mailbox.paused = self._mailbox.held = True

    def resume(self) -> None:
        """Handle data messages again."""
        self.kernel.resume(self._mailbox)

    def fails_on(self, error: Exception) -> bool:  # noqa: ARG002
        """Whether an error that answers an `ask` is also the actor's failure.

        In Pykka it is not; an actor whose state may be half changed can say otherwise.
        """
        return False

    def on_turn_end(self) -> None:
        """Called after each turn of one or more messages: the place to flush a batch."""

    @handles(Begin, system=True)
    def _begin(self, _: Begin) -> Any:
        return self.on_start()

    def _handle_receive(self, message: Any) -> Any:
        handler = self.handlers.get(type(message))
        if handler is not None:
            return handler(self, message)
        if isinstance(message, _PYKKA_MESSAGES):
            return super()._handle_receive(message)
        return self.on_receive(message)

    def _stop(self) -> None:
        self.kernel.stop_now(self._mailbox)

    # Pykka's extension points for types of actors.

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return current_kernel().mailbox(LoopActor)

    @staticmethod
    def _create_future() -> LoopFuture[Any]:
        return current_kernel().future()

    def _start_actor_loop(self) -> None:
        self.kernel.begin(self._mailbox)


LoopActor._collect_handlers()
