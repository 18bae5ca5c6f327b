"""Attempts that a worker's main process may have to report: killed, timed out, terminated, revoked while they wait.

Celery notifies the main process of some of these twice, of others not at all; which, is written beside each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from billiard.common import human_status
from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError

from celery_otel_links._errors import contained
from celery_otel_links._rules.facts import LostAttempt, Request
from celery_otel_links._rules.request import RECEIVED, SECOND, gathered, is_batch_task, received_at, unstarted
from celery_otel_links._worker import batch_jobs
from celery_otel_links._worker.attempt_board import AttemptBoard
from celery_otel_links._worker.method_hooks import ahead, during
from celery_otel_links._worker.receipts import Receipts
from celery_otel_links._worker.takeover import Case, Takeover

# SIGHUP, SIGQUIT and SIGTERM make a process end its task, and with it its span, if it has one already.
_ENDING = frozenset({1, 3, 15})
# The task goes on (SIGINT is ignored), or fails by its soft time limit (SIGUSR1).
_HARMLESS = frozenset({2, 10})
_LOST = (WorkerLostError, TimeLimitExceeded)


class LostAttempts:
    """Finds out, in the main process of a pool of processes, which attempts are lost."""

    def __init__(self, board: AttemptBoard, receipts: Receipts, takeover: Takeover) -> None:
        self._board = board
        self._receipts = receipts
        self._takeover = takeover
        self._failing: Any = None

    def watch(self, consumer: Any) -> None:
        """``worker_ready``: of what a process had begun that was gone before the pool has read so, nobody is notified.

        The pool gives it to the next process, as if nothing had been.
        """
        self._takeover.timer = consumer.timer
        ahead(getattr(consumer.pool, "_pool", None), "on_partial_read", self.partially_read)
        if self._board.shared and any(map(is_batch_task, consumer.app.tasks.values())):
            batch_jobs.watch(consumer.pool, self.lost_batch)

    def received(self, request: Any) -> None:
        """``task_received``: the worker's request is the only thing that knows its process and its real start."""
        received = self._receipts.stamp(request)
        if self._board.shared:
            self._receipts.keep(request, received)
            during(request, "on_failure", self._handling)

    def failed(self, task_id: str, error: BaseException | None) -> None:
        """``task_failure`` and ``task_retry``: a process could not even read the message.

        Only of what the pool has a failure for: in other pools than prefork, all failures of tasks come here, and of a
        hard time limit Celery sends a second signal when it has handled that (from 5.7 on).
        """
        request = self._failing
        if request is not None and request.id == task_id and error is not None:
            self._lost(request, error)

    @contextmanager
    def _handling(self, request: Any, failure: Any, *_: Any, **__: Any) -> Iterator[None]:
        """While Celery does what it does about a failure that the pool has for ``request``.

        It sends no signal if the message goes back to the queue (``reject_on_worker_lost``, ``acks_on_timeout``), if
        its result backend does not answer, or if that has a result of the task already (from 5.7 on).
        """
        self._failing = request
        try:
            with contained("reporting a lost task"):
                error = _unwrapped(failure)
                if isinstance(error, _LOST):
                    self._lost(request, error)
            yield
        finally:
            self._failing = None

    def _lost(self, request: Any, error: BaseException) -> None:
        pid = request.worker_pid
        if request.time_start is None or not self._receipts.first_report(request, pid):
            return
        fields = request.request_dict
        attempt = LostAttempt(
            request=unstarted(fields),
            app=request.app,
            task=request.task,
            name=request.task.name,
            state="FAILURE",
            error=error,
            start=request.time_start,
        )
        self._takeover.at_once(_case(attempt, pid))

    def lost_batch(self, task: Any, args: Any, start: float, pid: int, failure: Any) -> None:
        """A batch that its process did not end."""
        request = gathered(unstarted({}), args)
        attempt = LostAttempt(
            request=request,
            app=task.app,
            task=task,
            name=task.name,
            state="FAILURE",
            error=_unwrapped(failure),
            start=start,
        )
        received = received_at(request) or 0.0
        self._takeover.at_once(Case(attempt=attempt, pid=pid, delivery=received, accepted=start))

    def terminated(self, request: Request, signum: Any) -> bool:
        """``task_revoked`` of a task that a signal ends. Returns whether it has begun, so that there is an attempt.

        A task that waits in the pool's buffer is "terminated" without having begun; the pool may say then that it has,
        in the main process and in the distant future.
        """
        received = self._receipts.of(request)
        if received is None:
            return True  # in another pool than prefork: it ends by itself
        pid = received.worker_pid
        if pid in (None, os.getpid()):
            return False
        if signum in _HARMLESS or not self._receipts.first_report(received, pid):
            return True
        attempt = LostAttempt(
            request=request,
            app=received.app,
            task=received.task,
            name=received.task.name,
            state="TERMINATED",
            error=Terminated(human_status(-signum) if isinstance(signum, int) else signum),
            start=received.time_start,
        )
        case = _case(attempt, pid)
        if signum in _ENDING:
            self._takeover.once_gone(case)
        else:
            self._takeover.at_once(case)
        return True

    def partially_read(self, job: Any, process: Any) -> None:
        """A process is gone to which the pool had given a job, and of which it has not read that it had begun it."""
        request = getattr(getattr(job, "_accept_callback", None), "__self__", None)
        if request is None or job._accepted:
            return
        pid, fields = process.pid, request.request_dict
        start = self._board.since(pid, fields[RECEIVED])
        if start is None or not self._receipts.first_report(request, pid):
            return
        attempt = LostAttempt(
            request=unstarted({**fields, SECOND: True}),  # it runs again, and then takes the reserved context
            app=request.app,
            task=request.task,
            name=request.task.name,
            state="FAILURE",
            error=WorkerLostError(f"Worker process {pid} was gone before the pool knew that the task had begun"),
            start=start,
        )
        self._takeover.at_once(_case(attempt, pid))


def _case(attempt: LostAttempt, pid: int) -> Case:
    delivery = vars(attempt.request)[RECEIVED]
    return Case(attempt=attempt, pid=pid, delivery=delivery, accepted=attempt.start or 0.0)


def _unwrapped(failure: Any) -> Any:
    error: Any = getattr(failure, "exception", None)
    return error.exc if type(error).__name__ == "ExceptionWithTraceback" else error  # wrapped from billiard 4 on
