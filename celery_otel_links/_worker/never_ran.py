"""Messages whose task never ran: revoked, expired, unknown, unreadable. Each has a span without length."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from celery import signals
from celery.exceptions import NotRegistered

from celery_otel_links._errors import guarded
from celery_otel_links._rules.facts import LostAttempt, Request
from celery_otel_links._rules.request import unstarted
from celery_otel_links._worker.method_hooks import ahead
from celery_otel_links._worker.receipts import Receipts


class NeverRan:
    """Reports, in the main process of a worker, what did not come to run."""

    def __init__(self, receipts: Receipts, report: Callable[[LostAttempt], None]) -> None:
        self._receipts = receipts
        self._report = report

    def wiring(self) -> tuple[tuple[Any, Callable[..., None]], ...]:
        """Which receiver listens to which signal."""
        return ((signals.task_rejected, self.task_rejected), (signals.task_unknown, self.task_unknown))

    def watch(self, consumer: Any) -> None:
        """``worker_ready``: of messages that cannot be decoded Celery sends no signal."""
        ahead(consumer, "on_decode_error", lambda message, _: self.task_rejected(sender=consumer, message=message))

    def revoked(self, request: Request, *, expired: bool) -> None:
        """``task_revoked`` before the start."""
        state, received = "EXPIRED" if expired else "REVOKED", self._receipts.of(request)
        if received is None:
            self._report(LostAttempt(request=request, state=state))
        elif self._receipts.first_report(received, None):
            task = received.task
            self._report(LostAttempt(request=request, app=received.app, task=task, name=task.name, state=state))

    @guarded
    def task_rejected(self, *, sender: Any, message: Any, **_: Any) -> None:
        """A message that Celery could not read."""
        headers = message.headers if isinstance(getattr(message, "headers", None), Mapping) else {}
        self._report(LostAttempt(request=unstarted(headers, message=message), app=sender.app, state="REJECTED"))

    @guarded
    def task_unknown(self, *, sender: Any, message: Any, name: str, **_: Any) -> None:
        """No such task is registered here; Celery stores a failure."""
        request, error = unstarted(message.headers, message=message), NotRegistered(name)
        self._report(LostAttempt(request=request, app=sender.app, name=name, state="UNKNOWN", error=error))
