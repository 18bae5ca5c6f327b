"""Which attempt each process of a pool has ended last, told to their main process.

When a process is gone, its main process cannot ask it any more: one that has exited with a code may have ended its span
before (``sys.exit`` in a task) or not (``os._exit``), and one that was killed may have finished what it ran.
"""

from __future__ import annotations

import mmap
import os
import struct

import billiard

_SLOTS = 1024
_SLOT = struct.Struct("qd")


class Farewells:
    """A few bytes that a main process shares with all processes that it forks afterwards.

    A delivery is known by the time at which the main process has received it.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SLOTS * _SLOT.size)

    def say(self, received: float) -> None:
        """This process has ended the span of this delivery."""
        pid = os.getpid()
        _SLOT.pack_into(self._memory, pid % _SLOTS * _SLOT.size, pid, received)

    def said(self, pid: int | None, received: float) -> bool:
        """Whether the process has said so. One that was not forked shares nothing with us: it is taken to have."""
        if getattr(billiard, "get_start_method", lambda: "fork")() != "fork":
            return True
        return pid is not None and _SLOT.unpack_from(self._memory, pid % _SLOTS * _SLOT.size) == (pid, received)
