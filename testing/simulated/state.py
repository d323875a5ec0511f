"""The state of a process as a digest: everything that its future depends on, and nothing else.

Two processes with the same digest go on alike, if the same comes to them from outside. What
is digested is all that can be reached: actors and what waits for them, tasks with the places
at which their coroutines stand and their variables, callbacks, timers.

Not seen is what a coroutine has on its stack: a loop over something that is suspended amid it
has to tell by its variables how far it is.
"""

from __future__ import annotations

import asyncio
import functools
import pickle
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from datetime import datetime
from enum import Enum
from hashlib import blake2b
from io import BytesIO
from random import Random
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)
from typing import Any

from .kernel import SimulatedKernel

Parts = tuple[Any, ...]


def digest(roots: Any, constants: dict[int, str]) -> bytes:
    """Digest what can be reached.

    Sets count as different when they were filled differently, and so do equal texts that are
    one object here and two there: it errs on that side.

    Args:
        roots: where to begin.
        constants: names, by `id`, of objects that are not to be looked into.

    Raises:
        RecursionError: the recursion limit is lower than some chain of objects is long.

    """
    written = BytesIO()
    _Pickler(written, constants).dump(roots)
    return blake2b(written.getbuffer(), digest_size=16).digest()


def _object(*_: Any) -> None:
    """Stands in the digest for whatever object has the parts that follow."""


class _Pickler(pickle.Pickler):
    """Writes what nobody will read: all kinds of objects, each once, by its parts."""

    def __init__(self, file: BytesIO, constants: dict[int, str]) -> None:
        super().__init__(file, 5)
        self._constants = constants

    def reducer_override(self, thing: Any) -> Any:
        if thing is _object:
            return NotImplemented
        name = self._constants.get(id(thing))
        if name is not None:
            return _object, ("constant", name)
        if isinstance(thing, type):
            return _object, ("class", thing.__module__, thing.__qualname__)
        kind: Any = type(thing)
        # The parts come behind the object, so that they may lead back to it.
        return _object, (kind.__qualname__,), _parts_of(kind)(thing)


@functools.cache
def _parts_of(kind: type) -> Callable[[Any], Parts]:
    """What takes objects of this class apart."""
    for known, parts in _KNOWN.items():
        if issubclass(kind, known):
            return parts
    content = next((each for base, each in _CONTENT.items() if issubclass(kind, base)), None)
    names = tuple(_slots(kind))
    if content is None and not names:
        return lambda thing: (getattr(thing, "__dict__", None),)
    if content is not None and not names and not kind.__dictoffset__:
        return lambda thing: (content(thing),)
    return lambda thing: (
        getattr(thing, "__dict__", None),
        *[getattr(thing, name, None) for name in names],
        content and content(thing),
    )


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__"):
                yield name


def _nothing(_: Any) -> Parts:
    return ()


def _task(task: asyncio.Task[Any]) -> Parts:
    known: Any = task
    return (*_future(task), known.get_coro(), known._must_cancel, known._fut_waiter)


def _future(future: Any) -> Parts:
    callbacks = [_bound(callback) for callback, _ in future._callbacks or ()]
    owner = getattr(future, "owner", None)
    if future._state == "FINISHED":
        error = future._exception
        return future._state, callbacks, owner, error, None if error else future._result
    return future._state, callbacks, owner


def _frame(frame: Any, waits_for: Any) -> Parts:
    return () if frame is None else (frame.f_lasti, frame.f_locals, waits_for)


def _coroutine(coroutine: Any) -> Parts:
    return coroutine.__qualname__, *_frame(coroutine.cr_frame, coroutine.cr_await)


def _generator(generator: Any) -> Parts:
    return generator.__qualname__, *_frame(generator.gi_frame, generator.gi_yieldfrom)


def _async_generator(generator: Any) -> Parts:
    return generator.__qualname__, *_frame(generator.ag_frame, generator.ag_await)


def _function(function: Any) -> Parts:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return function.__module__, function.__qualname__, cells, function.__defaults__


def _method(method: Any) -> Parts:
    return method.__name__, method.__self__


def _partial(partial: functools.partial[Any]) -> Parts:
    return partial.func, partial.args, partial.keywords


def _handle(handle: Any) -> Parts:
    return (
        handle._cancelled,
        getattr(handle, "_when", None),
        _bound(handle._callback),
        handle._args,
    )


def _bound(callback: Any) -> Any:
    """A callback; a step or a wake-up of a task by its task, for it tells nothing else."""
    owner = getattr(callback, "__self__", None)
    return (type(callback).__qualname__, owner) if isinstance(owner, asyncio.Task) else callback


def _kernel(kernel: Any) -> Parts:
    counted = ("turns", "dead_letters")
    return ({name: part for name, part in vars(kernel).items() if name not in counted},)


_CONTENT: dict[type, Callable[[Any], Any]] = {
    dict: lambda thing: list(thing.items()),
    list: list,
    tuple: list,
    set: list,
    frozenset: list,
    deque: list,
    str: str,
    int: int,
    float: float,
    BaseException: lambda error: error.args,
}
"""What objects of subclasses of builtin classes hold, beside their attributes."""

_KNOWN: dict[type, Callable[[Any], Parts]] = {
    asyncio.Task: _task,
    asyncio.Future: _future,
    asyncio.Handle: _handle,
    CoroutineType: _coroutine,
    GeneratorType: _generator,
    AsyncGeneratorType: _async_generator,
    FunctionType: _function,
    BuiltinFunctionType: _method,
    MethodType: _method,
    functools.partial: _partial,
    Enum: lambda member: (member.name,),
    SimulatedKernel: _kernel,
    datetime: lambda moment: (moment.isoformat(),),
    ModuleType: lambda module: (module.__name__,),
    Random: lambda chance: (hash(chance.getstate()),),
    # What decides nothing here: nobody waits for an OS thread, and the context is everybody's.
    Context: _nothing,
    weakref.ref: _nothing,
    type(threading.Lock()): _nothing,
    threading.Condition: _nothing,
}
