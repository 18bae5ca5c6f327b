"""Reporting attempts that their processes may not live to report: each by one of the two, and by no more than one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from celery_otel_links._errors import contained
from celery_otel_links._worker.attempt_board import AttemptBoard, Owner
from celery_otel_links._worker.lost_attempt import LostAttempt

_PAUSE = 0.5
"""Seconds between two looks at the board."""
_LOOKS = 60


class Case(NamedTuple):
    """An attempt whose process is gone or about to go."""

    attempt: LostAttempt
    pid: int
    delivery: float


class Takeover:
    """Reports an attempt once it is clear that its process does not."""

    def __init__(self, board: AttemptBoard, report: Callable[[LostAttempt], None]) -> None:
        self._board = board
        self._report = report
        self._open: list[Case] = []
        self.timer: Any = None
        """The worker's, once it is ready."""

    def at_once(self, case: Case) -> None:
        """Of a process that is gone, or has no time to report: unless it has claimed the attempt before."""
        owner = self._board.take(case.pid, case.delivery)
        if owner is Owner.MAIN:
            self._report(case.attempt)
        elif owner is None and self.timer is not None:
            self._open.append(case)
            self._again(case, 0)

    def once_gone(self, case: Case) -> None:
        """Of a process that a signal ends, and that reports the attempt, unless the signal came before the attempt.

        A task that is terminated while it waits in the pool's buffer is so the moment that a process accepts it.
        """
        self._open.append(case)
        self._look(case, _LOOKS if self.timer is not None else 0)

    def settle(self) -> None:
        """When the worker has stopped, and its processes with it: nothing can become clearer any more."""
        for case in list(self._open):
            self._look(case, 0)

    def _look(self, case: Case, more: int) -> None:
        if case not in self._open:
            return
        with contained("reporting a lost attempt"):
            alive = more and _alive(case.pid)
            if alive and not self._board.claimed(case.pid, case.delivery):  # asked last: it may claim, and then end
                self._again(case, more - 1)
                return
            self._open.remove(case)
            self.at_once(case)

    def _again(self, case: Case, more: int) -> None:
        self.timer.call_after(_PAUSE, self._look, (case, more))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
