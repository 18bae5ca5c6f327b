"""A process of a pool: what it writes on the attempt board, for its main process to read."""

from __future__ import annotations

import os
import time

from celery_otel_links._rules.facts import Request
from celery_otel_links._rules.request import received_at
from celery_otel_links._worker.attempt_board import BEGUN, CLAIMED, LEFT, PID, SINCE, TAKEN, AttemptBoard
from celery_otel_links._worker.soft_limit import SoftLimit
from celery_otel_links._worker.termination import Termination


class Child:
    """This process, if it is one that a worker's main process has started to run tasks."""

    def __init__(self, board: AttemptBoard, termination: Termination) -> None:
        self._board = board
        self._termination = termination
        self._slot: memoryview[float] | None = None
        self._soft_limit: SoftLimit | None = None

    def started(self) -> None:
        """``worker_process_init``: from now on this process runs tasks."""
        self._slot = slot = self._board.slot()
        if slot is not None:
            slot[PID] = os.getpid()

    @property
    def runs_tasks(self) -> bool:
        """Whether this process is one of a pool."""
        return self._slot is not None

    def begin(self, request: Request) -> None:
        """``task_prerun``: an attempt begins, and its process may not live to end it."""
        slot = self._slot
        if slot is None:
            return
        if self._soft_limit is None:  # the first task: billiard installs its handlers after ``worker_process_init``
            self._soft_limit = SoftLimit()
            self._soft_limit.install()
            self._termination.install()
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
        if self._termination.begun:
            self._termination.hold()
        if slot[TAKEN] != delivery:
            slot[CLAIMED] = delivery
        if slot[TAKEN] != delivery:
            return True
        slot[LEFT] = delivery
        return False
