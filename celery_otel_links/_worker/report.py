"""The one span of an attempt that its own process can't report: it is gone, or the task never ran."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from celery import Celery

from celery_otel_links._rules.facts import Request
from celery_otel_links._rules.message import incoming
from celery_otel_links._tracing import run
from celery_otel_links._tracing.delivery import deliver
from celery_otel_links._tracing.telemetry import Telemetry


class LostAttempt(NamedTuple):
    """An attempt as the main process knows it."""

    request: Request
    state: str
    app: Celery | None = None
    """None where Celery does not say it."""
    task: Any = None
    """None where it is not registered here, or not known."""
    name: str | None = None
    """Of the task, where the message does not say it."""
    error: BaseException | None = None
    start: float | None = None
    """In seconds since the epoch; None of a task that never ran: its span has no length."""


def report(telemetry: Telemetry, attempt: LostAttempt) -> None:
    """Make the span of ``attempt``, which ends now."""
    app, request, now = attempt.app or telemetry.app, attempt.request, time.time()
    if app is None:
        return
    fields = vars(request)
    name = attempt.name or str(fields.get("task") or "unknown")
    config, plans = telemetry.settled(app)
    plan = plans.to_run(app, attempt.task, name, fields.get("delivery_info") or {}, fields.get("kwargs"))
    start = now if attempt.start is None else attempt.start
    delivery = deliver(config, plan, incoming(request, name, app), request, start, telemetry.spans.most_links)
    run.report(telemetry, delivery, attempt.state, attempt.error, now)
