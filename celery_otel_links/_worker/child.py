"""The process in which tasks run: what it writes on the attempt board, if it is one of a pool, and when it flushes."""

from __future__ import annotations

import os
import time
from typing import Protocol

from celery_otel_links._rules.facts import Request
from celery_otel_links._rules.request import received_at
from celery_otel_links._worker.attempt_board import BEGUN, CLAIMED, LEFT, PID, SINCE, TAKEN, AttemptBoard
from celery_otel_links._worker.soft_limit import SoftLimit


class Flushing(Protocol):
    """What exports when a task has ended."""

    def after_task(self) -> None:
        """``task_postrun``, when the span has ended."""


class Child:
    """This process; in all pools but prefork it is the main process as well, and alone reports what it runs."""

    def __init__(self, board: AttemptBoard, last_flush: Flushing, periodic_flush: Flushing) -> None:
        self._board = board
        self._last_flush = last_flush
        self._periodic_flush = periodic_flush
        self._slot: memoryview[float] | None = None
        self._soft_limit: SoftLimit | None = None

    def started(self) -> None:
        """``worker_process_init``: from now on this process runs tasks."""
        self._slot = slot = self._board.slot()
        if slot is not None:
            slot[PID] = os.getpid()

    def begin(self, request: Request) -> None:
        """``task_prerun``: an attempt begins, and its process may not live to end it."""
        slot = self._slot
        if slot is None:
            return
        if self._soft_limit is None:  # the first task: billiard installs its handler after ``worker_process_init``
            self._soft_limit = SoftLimit()
            self._soft_limit.install()
        delivery = received_at(request)
        if delivery is not None:
            slot[SINCE] = time.time()
            slot[BEGUN] = delivery

    def claim(self, request: Request) -> bool:
        """``task_postrun``: whether this process reports the attempt. Asked before it ends the span."""
        slot = self._slot
        if slot is None:
            return True
        delivery = received_at(request)
        if delivery is None:
            return True  # it runs eagerly, within another
        if slot[TAKEN] != delivery:
            slot[CLAIMED] = delivery
        if slot[TAKEN] != delivery:
            return True
        slot[LEFT] = delivery
        return False

    def after_task(self, state: str | None) -> None:
        """``task_postrun``, when the span has ended."""
        if state is None and self._slot is not None:
            self._last_flush.after_task()
        self._periodic_flush.after_task()
