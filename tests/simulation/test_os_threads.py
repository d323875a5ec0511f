"""No wake-up is lost between OS threads, and the interleaver would see it if one were."""

import contextvars
import inspect
import linecache
import threading
from collections import deque

import pytest

import callboard.kernel.inbound
from callboard.domain.errors import RuntimeBusy
from callboard.kernel.inbound import Inbound
from callboard.testing import Stuck
from callboard.testing.os_threads import every_interleaving, some_interleaving
from callboard.testing.simulated import Choices

INBOUND = callboard.kernel.inbound.__file__
SOURCE = inspect.getsource(callboard.kernel.inbound)


class Bell:
    """What `Inbound` needs of an event loop: callbacks in order, and whether it is closed."""

    def __init__(self):
        self.callbacks = deque()
        self.closed = False

    def call_soon(self, callback, context=None):
        self.callbacks.append(callback)

    def call_soon_threadsafe(self, callback, context=None):
        if self.closed:
            raise RuntimeError("Event loop is closed")
        self.callbacks.append(callback)

    def is_closed(self):
        return self.closed


class Traffic:
    """Producers that put, and a loop that takes until it has everything."""

    def __init__(self, cls=Inbound, producers=1, envelopes=2, capacity=100):
        self._cls, self._capacity = cls, capacity
        self._producers, self._envelopes = producers, envelopes

    def __call__(self, threads):
        bell, taken = Bell(), []

        def take(mailbox, envelope):
            taken.append((mailbox, envelope))

        inbound = self._cls(bell, contextvars.Context(), self._capacity, take, take)

        def produce(name):
            for number in range(self._envelopes):
                inbound.put(name, number)

        def serve():
            while len(taken) < self._producers * self._envelopes:
                threads.wait(lambda: bell.callbacks)
                bell.callbacks.popleft()()

        names = [f"producer{number}" for number in range(self._producers)]
        threads.run(loop=serve, **{name: lambda name=name: produce(name) for name in names})

        for name in names:
            assert [number for who, number in taken if who == name] == list(range(self._envelopes))
        assert not inbound._queue


def test_no_wake_up_is_lost_in_any_order_of_lines():
    assert every_interleaving(Traffic(producers=1, envelopes=2), [INBOUND]) > 1000


@pytest.mark.parametrize("producers", [1, 2, 3])
def test_no_wake_up_is_lost_among_many_producers(producers, callboard_seed):
    traffic = Traffic(producers=producers, envelopes=4)

    for number in range(100):
        picker = Choices(callboard_seed, f"{producers} producers, {number}")
        some_interleaving(traffic, [INBOUND], picker)


def test_no_wake_up_is_lost_between_two_bytecodes(callboard_seed):
    traffic = Traffic(producers=2, envelopes=3)

    for number in range(100):
        picker = Choices(callboard_seed, f"bytecodes, {number}")
        some_interleaving(traffic, [INBOUND], picker, opcodes=True)


FALL = "        self._signalled = False\n        for"
TAKE = "self._take(*self._queue.popleft())\n"
TAKE_AGAIN = "            self._loop.call_soon(self.take, context=self._context)\n"
RAISE = "        self._signalled = True\n        try:\n"
CALL = "            self._loop.call_soon_threadsafe(self.take, context=self._context)\n"
RETURN = "            return\n        self._signalled"
APPEND = "        self._queue.append((mailbox, envelope))\n"
BUGS = {
    "the flag falls after the queue was emptied": [
        (FALL, "        for"),
        (TAKE_AGAIN, TAKE_AGAIN + "        self._signalled = False\n"),
    ],
    "the flag is raised after the wake-up was ordered": [
        (RAISE, "        try:\n"),
        (CALL, CALL + "            self._signalled = True\n"),
    ],
    "the envelope is put behind the look at the flag": [
        (APPEND, ""),
        (RETURN, "    " + APPEND + RETURN),
        (CALL, CALL + "    " + APPEND),
    ],
}


@pytest.fixture(params=BUGS)
def bug(request):
    source = SOURCE
    for old, new in BUGS[request.param]:
        assert source.count(old) == 1
        source = source.replace(old, new)
    name = request.param
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    space = {"__name__": callboard.kernel.inbound.__name__, "__package__": "callboard.kernel"}
    exec(compile(source, name, "exec"), space)
    return space["Inbound"], name


def test_each_classical_bug_is_found_by_trying_all_orders(bug):
    cls, file = bug

    with pytest.raises(Stuck, match=r"everybody waits for somebody else:\n  loop: "):
        every_interleaving(Traffic(cls, producers=1, envelopes=2), [file])


def test_each_classical_bug_is_found_by_seeds(bug, callboard_seed):
    cls, file = bug
    traffic = Traffic(cls, producers=2, envelopes=4)

    def seeds():
        for number in range(1000):
            some_interleaving(traffic, [file], Choices(callboard_seed, str(number)))

    with pytest.raises(Stuck) as caught:
        seeds()

    assert f"producer0: {file}:" in "".join(caught.value.__notes__)


def test_a_full_queue_refuses_and_loses_nothing_that_it_took(callboard_seed):
    def scene(threads):
        bell, taken, accepted, over = Bell(), [], [], []

        def take(mailbox, envelope):
            taken.append(envelope)

        inbound = Inbound(bell, contextvars.Context(), 1, take, take)

        def produce():
            for number in range(3):
                try:
                    inbound.put("p", number)
                except RuntimeBusy:
                    continue
                accepted.append(number)
            over.append(True)

        def serve():
            while not over or bell.callbacks:
                threads.wait(lambda: over or bell.callbacks)
                while bell.callbacks:
                    bell.callbacks.popleft()()

        threads.run(loop=serve, producer=produce)
        assert taken == accepted

    for number in range(200):
        some_interleaving(scene, [INBOUND], Choices(callboard_seed, f"full, {number}"))


def test_the_same_seed_gives_the_same_order_of_lines():
    logs = []

    def scene(threads):
        Traffic(producers=2)(threads)
        logs.append(threads.log)

    for _ in range(2):
        some_interleaving(scene, [INBOUND], Choices(7, "again"))

    assert logs[0] == logs[1]
    assert len({line.partition(":")[0] for line in logs[0]}) == 3


def test_what_a_thread_raises_is_raised():
    def work():
        raise ValueError("in a thread")

    with pytest.raises(ValueError, match="in a thread"):
        every_interleaving(lambda threads: threads.run(one=work, two=lambda: None), [])


def test_a_lock_that_another_thread_holds_is_an_error_and_no_hang(monkeypatch):
    monkeypatch.setattr("callboard.testing.os_threads._PATIENCE", 0.05)
    lock, left = threading.Lock(), []

    def scene(threads):
        lock.acquire()
        threads.run(blocked=lambda: left.append(lock.acquire()))

    with pytest.raises(Stuck, match=r"'blocked' has not left its line"):
        every_interleaving(scene, [])
    lock.release()
