"""A worker's main process: the spans of attempts that cannot speak for themselves.

Killed ones get the span that their process took with it, those that never ran a span without length. Celery tells the
main process of some of these twice, of others not at all; which, is written beside each.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from billiard.common import human_status
from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from billiard.pool import MaybeEncodingError
from celery import Celery
from celery.exceptions import NotRegistered, Reject

from celery_otel_links._errors import contained
from celery_otel_links._rules.canvas import Request
from celery_otel_links._rules.message import RECEIVED, incoming, unstarted
from celery_otel_links._tracing.delivery import deliver
from celery_otel_links._tracing.run import report
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._worker.attempt_board import Farewells
from celery_otel_links._worker.method_hooks import ahead, during

PREFORK = "celery.concurrency.prefork"
_TOLD = "_celery_otel_links_told"
# SIGHUP, SIGQUIT and SIGTERM make a child process end its task, and with it its span, if it has one already.
_ENDING = frozenset({1, 3, 15})
# The task goes on (SIGINT is ignored), or fails by its soft time limit (SIGUSR1).
_HARMLESS = frozenset({2, 10})
_PATIENCE = 60  # times half a second
# What a task has ended with that has run to its end: the first from Celery 5.7 on.
_ENDED = (Reject, MaybeEncodingError)
_LOST = (WorkerLostError, TimeLimitExceeded)


class _Doubt(NamedTuple):
    """A terminated task whose process may or may not have ended its span."""

    request: Request
    received: Any
    error: BaseException


class MainProcess:
    """What a worker's main process remembers of the messages that it has received: nothing, once they are done.

    A delivery is known by the time of its receipt, and not by the id of its task: a broker may deliver a message again
    while the first attempt still runs.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._pid = os.getpid()
        self._requests: weakref.WeakValueDictionary[float, Any] = weakref.WeakValueDictionary()
        self._failing: Any = None
        self._farewells = Farewells()
        self._timer: Any = None
        self._doubts: list[_Doubt] = []

    def ready(self, consumer: Any) -> None:
        """``worker_ready``: listen for what Celery sends no signal of.

        It drops messages that cannot be decoded. And what a process had begun that was gone before the pool has read
        so is given to the next process, as if nothing had been.
        """
        self._timer = consumer.timer
        ahead(consumer, "on_decode_error", lambda message, _: self.rejected(consumer.app, message))
        ahead(getattr(consumer.pool, "_pool", None), "on_partial_read", self._partially_read)

    def received(self, request: Any, pool: Any) -> None:
        """``task_received``: the worker's request is the only thing that knows its process and its real start."""
        # What stands in this dict reaches task.request in every pool, over process boundaries too.
        request.request_dict[RECEIVED] = received = time.time()
        if type(pool).__module__ != PREFORK:
            return  # its tasks end in this process, whatever ends them
        self._pid = os.getpid()
        self._requests[received] = request
        during(request, "on_failure", self._handling)

    def began(self, request: Any) -> None:
        """``task_prerun``: in a child process, which may not live to say more."""
        self._say(request, time.time())

    def ended(self, request: Any) -> None:
        """``task_postrun`` in a child process, which has ended the span of its task."""
        self._say(request, 0.0)

    def _say(self, request: Any, started: float) -> None:
        received = vars(request).get(RECEIVED)
        if received is not None and os.getpid() != self._pid:
            self._farewells.say(received, started)

    def failed(self, task_id: str, error: BaseException | None) -> None:
        """``task_failure`` and ``task_retry``: a child process could not even read the message.

        Only of what the pool has a failure for: in other pools than prefork, all failures of tasks come here, and of a
        hard time limit Celery speaks a second time when it has handled that (from 5.7 on).
        """
        request = self._failing
        if request is not None and request.id == task_id and error is not None and not isinstance(error, _ENDED):
            self._failed(request, error)

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
                    self._failed(request, error)
            yield
        finally:
            self._failing = None

    def revoked(self, request: Request, *, terminated: bool, signum: Any, expired: bool) -> None:
        """``task_revoked``: before the start, or by a signal that the process could not answer.

        A task that waits in the pool's buffer is "terminated" without having started; the pool may claim that it was
        started in this process, in the distant future.
        """
        received = self._requests.get(vars(request).get(RECEIVED, 0.0))
        if not terminated or (received is not None and received.worker_pid in (None, self._pid)):
            self._tell(request, "EXPIRED" if expired else "REVOKED", marked=received)
        elif received is not None and signum not in _HARMLESS:
            error = Terminated(human_status(-signum) if isinstance(signum, int) else signum)
            doubt = _Doubt(request, received, error)
            self._doubts.append(doubt)
            self._settle(doubt, _PATIENCE if signum in _ENDING and self._timer is not None else 0)

    def settle(self) -> None:
        """When the worker has stopped, and its processes with it: nothing can become clearer any more."""
        for doubt in list(self._doubts):
            self._settle(doubt, 0)

    def _settle(self, doubt: _Doubt, patience: int) -> None:
        """The process ends its span, unless the signal came before it had one: a task that is terminated while it
        waits in the pool's buffer is so the moment that a process accepts it."""
        if doubt not in self._doubts:
            return
        with contained("reporting a terminated task"):
            request, received, error = doubt
            alive = patience and _alive(received.worker_pid)
            said = self._said(received)  # asked last: it may say so and end in between
            if alive and not said:
                self._timer.call_after(0.5, self._settle, (doubt, patience - 1))
                return
            self._doubts.remove(doubt)
            if not said:
                self._tell(request, "TERMINATED", error, start=received.time_start, marked=received)

    def rejected(self, app: Celery, message: Any) -> None:
        """``task_rejected``: a message that Celery could not read."""
        headers = message.headers if isinstance(getattr(message, "headers", None), Mapping) else {}
        self._tell(unstarted(headers, message=message), "REJECTED", app=app)

    def unknown(self, app: Celery, message: Any, name: str) -> None:
        """``task_unknown``: no such task is registered here; Celery stores a failure."""
        self._tell(unstarted(message.headers, message=message), "UNKNOWN", NotRegistered(name), app=app, name=name)

    def _failed(self, request: Any, error: BaseException) -> None:
        if request.time_start is not None and not self._said(request):
            self._tell(unstarted(request.request_dict), "FAILURE", error, start=request.time_start, marked=request)

    def _partially_read(self, job: Any, process: Any) -> None:
        """A process is gone to which the pool had given a job, and of which it has not read that it had begun it."""
        request = getattr(getattr(job, "_accept_callback", None), "__self__", None)
        if request is None or job._accepted:
            return
        pid, fields = process.pid, request.request_dict
        begun = self._farewells.begun(pid, fields[RECEIVED])
        if begun is not None:
            error = WorkerLostError(f"Worker process {pid} was gone before it could say that the task had begun")
            self._tell(unstarted(fields), "FAILURE", error, start=begun, marked=request, pid=pid)

    def _said(self, request: Any) -> bool:
        return self._farewells.said(request.worker_pid, request.request_dict[RECEIVED])

    def _tell(
        self,
        request: Request,
        state: str,
        error: BaseException | None = None,
        *,
        start: float | None = None,
        app: Celery | None = None,
        name: str | None = None,
        marked: Any = None,
        pid: int | None = None,
    ) -> None:
        """Make the one span of an attempt from ``start``, or of none, until now.

        ``marked`` remembers of which process it is told, which is ``pid`` if the pool does not know.
        """
        if marked is not None:
            attempt = pid or marked.worker_pid
            if getattr(marked, _TOLD, 0) in (attempt, None):  # None: it was told that it never ran
                return
            setattr(marked, _TOLD, attempt)
            app, name = marked.app, marked.task.name
        fields = vars(request)
        name = name or str(fields.get("task") or "unknown")
        app = app or self._telemetry.app
        if app is None:
            return
        now = time.time()
        begun = now if start is None else start
        task = None if marked is None else marked.task
        plans = self._telemetry.plans(app)
        plan = plans.to_run(app, task, name, fields.get("delivery_info") or {}, fields.get("kwargs"))
        facts = incoming(request, name, app)
        delivery = deliver(plans, plan, facts, request, begun, self._telemetry.spans.most_links)
        if pid is not None:  # the same message runs again, and will take what is reserved
            delivery = delivery._replace(relation=delivery.relation._replace(reserved=None))
        report(self._telemetry, delivery, state, error, now)


def _unwrapped(failure: Any) -> Any:
    error: Any = getattr(failure, "exception", None)
    return error.exc if type(error).__name__ == "ExceptionWithTraceback" else error  # wrapped from billiard 4 on


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
