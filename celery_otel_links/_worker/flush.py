"""Making several calls side by side, within a time limit that the calls themselves do not keep: the SDK's do not."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

Call = Callable[[], Any]
Start = Callable[[Call], object]
"""Has a call made in another thread."""


class Flush:
    """All of ``calls`` at once, in threads that nobody waits for longer than ``timeout`` seconds."""

    def __init__(self, calls: Iterable[Call], timeout: float) -> None:
        self._calls = tuple(calls)
        self._ends = [threading.Event() for _ in self._calls]
        self._timeout = timeout
        self.deadline = 0.0
        """By the monotonic clock, once it has begun."""

    def begin(self, start: Start) -> Flush:
        """Begin, each call in a thread of its own."""
        self.deadline = time.monotonic() + self._timeout
        for call, end in zip(self._calls, self._ends, strict=True):
            start(partial(_quietly, call, end))
        return self

    def wait(self) -> bool:
        """Whether all of them end before the deadline."""
        return all(end.wait(max(0.0, self.deadline - time.monotonic())) for end in self._ends)

    def wait_to_the_end(self) -> None:
        """However long that takes."""
        for end in self._ends:
            end.wait()

    def done(self) -> bool:
        """Whether all of them have ended."""
        return all(end.is_set() for end in self._ends)

    def recent(self) -> bool:
        """Whether its process can still be about to end because of it."""
        return time.monotonic() < self.deadline + self._timeout


def in_new_thread(call: Call) -> threading.Thread:
    """Have it called in a thread that keeps no process from ending."""
    thread = threading.Thread(target=call, name="otel-links-flush", daemon=True)
    thread.start()
    return thread


class WaitingThreads:
    """Threads that wait for calls. When the interpreter ends, Python 3.12 and later start no more of them."""

    def __init__(self, count: int) -> None:
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        for _ in range(count):
            in_new_thread(lambda: self._calls.get()())

    def start(self, call: Call) -> None:
        """Have it called in one of them, which is then used up."""
        self._calls.put(call)


def _quietly(call: Call, end: threading.Event) -> None:
    try:
        with suppress(Exception):  # an exporter's failure is the exporter's to log
            call()
    finally:
        end.set()
