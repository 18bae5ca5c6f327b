"""From an attempt that is lost to the delivery that its span is made of."""

from __future__ import annotations

import time
from collections.abc import Callable

from celery_otel_links._rules.message import incoming
from celery_otel_links._tracing.delivery import Delivery, deliver
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._worker.lost_attempt import LostAttempt

MakeSpan = Callable[[Telemetry, Delivery, str, BaseException | None, float], None]
"""Makes the one span of a delivery, from its start to the time that is given."""


def report(telemetry: Telemetry, make_span: MakeSpan, attempt: LostAttempt) -> None:
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
    make_span(telemetry, delivery, attempt.state, attempt.error, now)
