"""A soft time limit that strikes while our own code runs is raised a moment later, in the task.

Billiard's signal handler raises ``SoftTimeLimitExceeded`` wherever the process is: in a receiver, whose exceptions
Celery's dispatcher of signals swallows; in an exporter, where the SDK does; or between the start of a span and the note
of it. So it waits until our code and the dispatcher are left. Code that hangs there is interrupted all the same.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

from billiard import pool

from celery_otel_links._worker.postponed import Postponed, in_our_code

_LONGEST = 1.0
"""Seconds after which a hook or an exporter that still runs is taken to hang."""


class SoftLimit:
    """In front of billiard's handler of the signal that says that a soft time limit is exceeded."""

    def __init__(self) -> None:
        self._postponed = Postponed()
        self._job: FrameType | None = None
        """The call of the job whose limit waits."""
        self._since = 0.0

    def install(self) -> None:
        """In a process of a pool, before a task runs; nothing is done where the handler is not billiard's."""
        number = getattr(signal, "SIGUSR1", None)
        if number is None or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(number) is pool.soft_timeout_sighandler:
            signal.signal(number, self._strike)

    def _strike(self, number: int, frame: FrameType | None) -> None:
        again = self._postponed.arrived()
        job, now = _job(frame), time.monotonic()
        if not again:
            self._since = now
        elif job is not self._job:
            self._job = None
            return  # the job has ended meanwhile
        self._job = None
        if job is not None and in_our_code(frame):
            self._job = job
            self._postponed.send_again(number)
            if now - self._since < _LONGEST:
                return
            self._since = now
        pool.soft_timeout_sighandler(number, frame)


def _job(frame: FrameType | None) -> FrameType | None:
    """The call with which the pool's loop runs a job, among the callers of ``frame``."""
    inner = None
    while frame is not None and frame.f_code is not pool.Worker.workloop.__code__:
        inner, frame = frame, frame.f_back
    return None if frame is None else inner
