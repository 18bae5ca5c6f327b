"""Running: the CONSUMER span is current from the task's start to its end, whatever comes between."""

from __future__ import annotations

import sys
import time
from typing import Any

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, set_span_in_context

from celery_otel_links._emit.attributes import RETRY_REASON, consumer
from celery_otel_links._emit.spans import finish
from celery_otel_links._errors import contained
from celery_otel_links._rules.message import incoming
from celery_otel_links._rules.outcome import outcome
from celery_otel_links._rules.texts import type_name
from celery_otel_links._tracing.attempt import Attempt, running
from celery_otel_links._tracing.delivery import Delivery, deliver
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._wire import chord_store, w3c


def start(telemetry: Telemetry, task: Any, task_id: str | None, kwargs: Any) -> None:
    """``task_prerun``: the delivery, an attempt of it, and its CONSUMER span, which is current from now on."""
    attempt = Attempt(task_id, running.get())
    running.set(attempt)  # also if what follows fails: its end is not that of an outer task
    app, request = task.app, task.request
    plans = telemetry.plans(app)
    plan = plans.to_run(app, task, task.name, request.delivery_info or {}, kwargs)
    facts = incoming(request, task.name, app)
    delivery = deliver(plans, plan, facts, request, time.time(), telemetry.spans.most_links)
    attempt.delivery, attempt.origin = delivery, delivery.origin
    if facts.eager and attempt.outer is not None and attempt.origin is None:
        attempt.origin = attempt.outer.origin
    if plan.excluded or not is_instrumentation_enabled():
        attempt.token = otel.attach(delivery.carried)
        return
    attempt.span, context = open_span(telemetry, delivery)
    attempt.token = otel.attach(context)
    span = attempt.span
    if span is not None:
        span_context = span.get_span_context()
        attempt.context = span_context if span_context.is_valid else None
    attempt.first = delivery.relation.parent or attempt.context
    attempt.started = time.perf_counter()
    config = plans.config
    if delivery.latency is not None and (instruments := telemetry.metrics.active()):
        stamped = delivery.published is not None
        instruments.started(plan.task_labels, plan.operation_labels, delivery.latency, stamped, attempt.context)
    if config.run_hook is not None and span is not None and span.is_recording():
        with contained("run_hook"):
            config.run_hook(span, request)
    if facts.header_of is not None and attempt.context is not None:
        chord_store.store(app, facts.header_of, delivery.id, attempt.context, config.fan_in)


def end(telemetry: Telemetry, task: Any, task_id: str | None, retval: Any, state: str | None) -> bool:
    """``task_postrun``: the outcome, the end of the span, and the context as it was before.

    Returns whether nobody else has to make the span.
    """
    attempt = running.get()
    if attempt is None or attempt.task_id != task_id:
        return False  # a signal that ends the process came before the attempt was there
    try:
        delivery = attempt.delivery
        if not attempt.started or delivery is None:
            return True
        result = outcome(state, retval, sys.exc_info()[1], task.throws)
        if result.state == "TERMINATED" and _at_hard_limit(attempt, task):
            return False  # the process has a tenth of a second to live; its main process makes the span
        span = attempt.span
        try:
            if instruments := telemetry.metrics.active():
                end_of = (result.state, None if result.error is None else type_name(result.error))
                seconds = time.perf_counter() - attempt.started
                plan = delivery.plan
                instruments.ended(plan.task_labels, plan.operation_labels, end_of, seconds, attempt.context)
                if telemetry.style.contrib_names:
                    instruments.ran_on(plan.route.name, str(vars(delivery.request).get("hostname") or ""), seconds)
        finally:
            if span is not None:
                if result.reason is not None:
                    span.set_attribute(RETRY_REASON, result.reason)
                finish(span, state=result.state, error=result.error)
        return True
    finally:
        running.set(attempt.outer)
        if attempt.token is not None:
            otel.detach(attempt.token)


def open_span(telemetry: Telemetry, delivery: Delivery, at: float | None = None) -> tuple[Span | None, Context]:
    """Start the span, exactly as this delivery is to have it. Returns it, and the context with it.

    There is none below a parent that is not sampled and stays so.
    """
    relation, context = delivery.relation, delivery.carried
    if not delivery.facts.eager:
        context = w3c.below(context, delivery.creation, relation.parent)
    if relation.parent is not None and telemetry.spans.skips(relation.parent):
        return None, context
    attributes = consumer(
        delivery.stamp.attributes,
        delivery.facts,
        vars(delivery.request),
        delivery.latency,
        relation.dropped,
        telemetry.style.contrib_names,
    )
    span = telemetry.spans.consumer(delivery.plan.span_name, context, relation, attributes, at)
    return span, set_span_in_context(span, context)


def report(telemetry: Telemetry, delivery: Delivery, state: str, error: BaseException | None, end: float) -> None:
    """The one span of an attempt that can't make it itself: from the delivery's start to ``end``, told from outside."""
    if delivery.plan.excluded:
        return
    span, _ = open_span(telemetry, delivery, delivery.start)
    if span is not None:
        finish(span, state=state, error=error, end=end)
    if instruments := telemetry.metrics.active():
        instruments.unfinished(delivery.plan.task_labels, (state, None if error is None else type_name(error)))


def _at_hard_limit(attempt: Attempt, task: Any) -> bool:
    limits = getattr(task.request, "timelimit", None) or (None,)
    limit = limits[0] or task.time_limit or task.app.conf.task_time_limit
    return limit is not None and time.perf_counter() - attempt.started > limit - 0.1
