"""Which attempt each process of a pool has begun or ended last, told to their main process.

When a process is gone, its main process cannot ask it any more: one that has exited with a code may have ended its span
before (``sys.exit`` in a task) or not (``os._exit``), and one that was killed may have finished what it ran, or have
begun what the main process believes to be waiting still.
"""

from __future__ import annotations

import mmap
import os
import struct

import billiard

# As many as Linux has process ids, if it is not told otherwise; only pages that are written to take memory.
_SLOTS = 32768
_SLOT = struct.Struct("qdd")  # process, delivery, and when it began; zero once it has ended


class Farewells:
    """A few bytes that a main process shares with all processes that it forks afterwards.

    A delivery is known by the time at which the main process has received it.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SLOTS * _SLOT.size)

    def say(self, received: float, started: float = 0.0) -> None:
        """This process runs this delivery since ``started``; without that it has ended the span of it."""
        pid = os.getpid()
        _SLOT.pack_into(self._memory, pid % _SLOTS * _SLOT.size, pid, received, started)

    def said(self, pid: int | None, received: float) -> bool:
        """Whether the process has said so. One that was not forked shares nothing with us: it is taken to have."""
        return not _forked() or self._read(pid, received) == 0.0

    def begun(self, pid: int | None, received: float) -> float | None:
        """Since when the process runs this delivery, if that is the last thing that it said."""
        return self._read(pid, received) or None

    def _read(self, pid: int | None, received: float) -> float | None:
        if pid is None:
            return None
        *whose, started = _SLOT.unpack_from(self._memory, pid % _SLOTS * _SLOT.size)
        return float(started) if whose == [pid, received] else None


def _forked() -> bool:
    return bool(getattr(billiard, "get_start_method", lambda: "fork")() == "fork")
