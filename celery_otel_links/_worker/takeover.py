"""Reporting attempts that their processes may not live to report: each by one of the two, and by no more than one."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from celery_otel_links._errors import contained
from celery_otel_links._rules.facts import LostAttempt
from celery_otel_links._worker.attempt_board import AttemptBoard

_PAUSE = 0.5
"""Seconds between two looks at the board."""
_LOOKS = 60


class Case(NamedTuple):
    """An attempt whose process is gone or about to go."""

    attempt: LostAttempt
    pid: int
    delivery: float
    accepted: float
    """When the process accepted it, in seconds since the epoch."""


class Takeover:
    """Reports an attempt once it is clear that its process does not."""

    def __init__(self, board: AttemptBoard, report: Callable[[LostAttempt], None]) -> None:
        self._board = board
        self._report = report
        self._open: dict[object, Callable[[], None]] = {}
        """What is still to be looked at."""
        self.timer: Any = None
        """The worker's, once it is ready."""

    def at_once(self, case: Case) -> None:
        """Of a process that is gone, or has no time to report: unless it has claimed the attempt before."""
        if self._board.take(case.pid, case.delivery, case.accepted):
            self._report(case.attempt)
        elif self.timer is not None:
            self._later(partial(self._if_left, case), at_the_end=partial(self._if_left, case))

    def once_gone(self, case: Case) -> None:
        """Of a process that a signal ends, and that reports the attempt, unless the signal came before the attempt.

        A task that is terminated while it waits in the pool's buffer is so the moment that a process accepts it.
        """
        self._look(case, _LOOKS if self.timer is not None else 0)

    def settle(self) -> None:
        """When the worker has stopped, and its processes with it: nothing can become clearer any more."""
        self.timer = None
        while self._open:
            with contained("reporting a lost attempt"):
                self._open.popitem()[1]()

    def _look(self, case: Case, more: int = 0) -> None:
        alive = more and _alive(case.pid)
        if self._board.claimed(case.pid, case.delivery, case.accepted):  # asked last: it may claim, and then end
            return
        if alive:
            self._later(partial(self._look, case, more - 1), at_the_end=partial(self._look, case))
        else:
            self.at_once(case)

    def _later(self, look: Callable[[], None], at_the_end: Callable[[], None]) -> None:
        key = object()

        def look_unless_settled() -> None:
            if self._open.pop(key, None) is not None:
                with contained("reporting a lost attempt"):
                    look()

        self._open[key] = at_the_end
        self.timer.call_after(_PAUSE, look_unless_settled, ())

    def _if_left(self, case: Case) -> None:
        if self._board.left(case.pid, case.delivery):
            self._report(case.attempt)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
