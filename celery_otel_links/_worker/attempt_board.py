"""Which attempt each process of a pool runs, and who reports it: that process, or its main process.

When a process is gone, its main process cannot ask it any more; and at a hard time limit both are about to report.
So they share a few numbers per process, and agree there before either of them ends a span:

* the process writes ``BEGUN`` when an attempt begins, and ``CLAIMED`` before it ends the attempt's span;
* the main process writes ``TAKEN`` before it reports an attempt;
* the process looks at ``TAKEN`` once more after its claim, and writes ``LEFT`` if the main process was faster.

Each number has one writer, and each of the two writes before it looks: so at least one of them sees the other, and
never both report. A delivery is known by the time of its receipt, which is different for every delivery.
"""

from __future__ import annotations

import atexit
import mmap
import os
import tempfile
from contextlib import suppress
from typing import Any

VARIABLE = "_CELERY_OTEL_LINKS_BOARD"
"""Names the file of the board to processes that are spawned, and so inherit no memory."""

_PREFORK = "celery.concurrency.prefork"
PID, BEGUN, SINCE, CLAIMED, LEFT, TAKEN = range(6)
_WIDTH = 8
# As many as Linux has process ids, if it is not configured otherwise; only pages that are written to take memory.
_SLOTS = 32768
_BYTES = _SLOTS * _WIDTH * 8


class AttemptBoard:
    """The numbers of all processes of a pool; empty until a main process shares it with them."""

    def __init__(self) -> None:
        self._numbers: memoryview[float] | None = None

    def share(self, *, forked: bool) -> None:
        """In a main process, before it starts its pool. The environment names a file to those that are not forked."""
        if forked:
            self._map(-1)
            return
        descriptor, path = tempfile.mkstemp(prefix="celery-otel-links-")
        atexit.register(_remove, path, os.getpid())
        os.truncate(descriptor, _BYTES)
        self._map(descriptor)
        os.close(descriptor)
        os.environ[VARIABLE] = path

    @property
    def shared(self) -> bool:
        """Whether this process or its parent has a pool of processes."""
        return self._numbers is not None

    def slot(self) -> memoryview[float] | None:
        """The numbers of this process, which is one of a pool."""
        path = os.environ.get(VARIABLE)
        if self._numbers is None and path:
            descriptor = os.open(path, os.O_RDWR)
            self._map(descriptor)
            os.close(descriptor)
        return None if self._numbers is None else self._of(os.getpid())

    def since(self, pid: int, delivery: float) -> float | None:
        """Since when the process runs this delivery, unless it has not begun it or reports it by itself."""
        slot = self._of(pid)
        if slot is None or slot[PID] != pid or slot[BEGUN] != delivery or slot[CLAIMED] == delivery:
            return None
        return slot[SINCE]

    def claimed(self, pid: int, delivery: float, accepted: float) -> bool:
        """Whether the process has claimed to report this delivery, which it ``accepted`` at that time."""
        slot = self._of(pid)
        if slot is None or slot[PID] != pid:
            return False
        if slot[BEGUN] == delivery:
            return slot[CLAIMED] == delivery
        return slot[SINCE] > accepted  # it runs one task after the other, and has begun the next

    def take(self, pid: int, delivery: float, accepted: float) -> bool:
        """Take this delivery over from the process, and return True: unless the process has claimed it.

        It may have done so only just now, and leave it; that it does at once.
        """
        slot = self._of(pid)
        if slot is not None:
            slot[TAKEN] = delivery
        return not self.claimed(pid, delivery, accepted)

    def left(self, pid: int, delivery: float) -> bool:
        """Whether the process has left to the main process what it had claimed."""
        slot = self._of(pid)
        return slot is not None and slot[PID] == pid and slot[LEFT] == delivery

    def _map(self, descriptor: int) -> None:
        self._numbers = memoryview(mmap.mmap(descriptor, _BYTES)).cast("d")

    def _of(self, pid: int) -> memoryview[float] | None:
        first = pid % _SLOTS * _WIDTH
        return None if self._numbers is None else self._numbers[first : first + _WIDTH]


def _remove(path: str, maker: int) -> None:
    if os.getpid() == maker:  # and not a process that it has forked
        with suppress(OSError):
            os.unlink(path)


def has_processes(pool: Any) -> bool:
    """Whether tasks run in processes of their own: in Celery's prefork pool, or in a class that is made of it."""
    return any(base.__module__ == _PREFORK for base in getattr(pool, "__mro__", ()))
