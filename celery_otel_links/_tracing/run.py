"""Running: the CONSUMER span is current from the task's start to its end, whatever comes between."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, set_span_in_context

from celery_otel_links._emit.attributes import RETRY_REASON, consumer
from celery_otel_links._emit.spans import finish
from celery_otel_links._errors import PASSING, contained, log_once
from celery_otel_links._rules.canvas import Request
from celery_otel_links._rules.message import incoming
from celery_otel_links._rules.outcome import outcome
from celery_otel_links._rules.texts import type_name
from celery_otel_links._tracing.attempt import Attempt, running
from celery_otel_links._tracing.delivery import Delivery, deliver
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._wire import chord_store, w3c


class Process(Protocol):
    """The process in which tasks run, as far as their spans depend on it."""

    def began(self, request: Request) -> None: ...
    def ended(self, request: Request) -> None: ...
    def after_task(self, state: str | None) -> None: ...


class Runner:
    """Receives what happens when this process runs a task."""

    def __init__(self, telemetry: Telemetry, process: Any) -> None:
        self._telemetry = telemetry
        self._process = process

    def task_prerun(self, *, task_id: str | None, task: Any, kwargs: Any = None, **_: Any) -> None:
        """The delivery, an attempt of it, and its CONSUMER span, which is current from now on."""
        attempt = Attempt(task_id, running.get())
        running.set(attempt)  # also if what follows fails: its end is not that of an outer task
        try:
            request = task.request
            self._process.began(request)
            self._start(attempt, task, request, kwargs)
        except PASSING:
            raise
        except Exception:
            log_once("task_prerun")

    def task_postrun(
        self, *, task_id: str | None, task: Any, retval: Any = None, state: str | None = None, **_: Any
    ) -> None:
        """The outcome, the end of the span, and the context as it was before."""
        attempt = running.get()
        if attempt is not None and attempt.task_id == task_id:  # otherwise a signal came before the attempt was there
            try:
                if attempt.traced:
                    self._end(attempt, task, retval, state)
            except PASSING:
                raise
            except Exception:
                log_once("task_postrun")
            finally:
                running.set(attempt.outer)
                if attempt.token is not None:
                    otel.detach(attempt.token)
                if attempt.known and attempt.traced is not None:
                    self._process.ended(attempt.delivery.request)
        self._process.after_task(state)

    def _start(self, attempt: Attempt, task: Any, request: Request, kwargs: Any) -> None:
        app, name, now, telemetry = task.app, task.name, time.time(), self._telemetry
        plans = telemetry.plans(app)
        plan = plans.to_run(app, task, name, request.delivery_info or {}, kwargs)
        facts = incoming(request, name, app)
        delivery = deliver(plans, plan, facts, request, now, telemetry.spans.most_links)
        attempt.delivery, attempt.origin, attempt.known = delivery, delivery.origin, True
        if facts.eager and attempt.outer is not None and attempt.origin is None:
            attempt.origin = attempt.outer.origin
        if plan.excluded or (otel.get_current() and not is_instrumentation_enabled()):
            attempt.token = otel.attach(delivery.carried)
            return
        attempt.traced, attempt.started = True, time.perf_counter()
        span, context = open_span(telemetry, delivery)
        attempt.token = otel.attach(context)
        if span is not None:
            attempt.span, span_context = span, span.get_span_context()
            attempt.context = span_context if span_context.is_valid else None
        attempt.first = delivery.relation.parent or attempt.context
        if delivery.latency is not None and (instruments := telemetry.metrics.active()):
            stamped = delivery.published is not None
            instruments.started(plan.task_labels, plan.operation_labels, delivery.latency, stamped, attempt.context)
        hook = plan.config.run_hook
        if hook is not None and span is not None and span.is_recording():
            with contained("run_hook"):
                hook(span, request)
        if facts.header_of is not None and attempt.context is not None:
            chord_store.store(app, facts.header_of, delivery.id, attempt.context, plan.config.fan_in)

    def _end(self, attempt: Attempt, task: Any, retval: Any, state: str | None) -> None:
        delivery, span = attempt.delivery, attempt.span
        result = outcome(state, retval, sys.exc_info()[1], task.throws)
        if result.state == "TERMINATED" and _at_hard_limit(attempt, task):
            attempt.traced = None  # the process has a tenth of a second to live; its main process makes the span
            return
        try:
            if instruments := self._telemetry.metrics.active():
                end = (result.state, None if result.error is None else type_name(result.error))
                seconds, plan = time.perf_counter() - attempt.started, delivery.plan
                instruments.ended(plan.task_labels, plan.operation_labels, end, seconds, attempt.context)
                if self._telemetry.style.contrib_names:
                    worker = vars(delivery.request).get("hostname") or ""
                    instruments.ran_on(plan.route.name, str(worker), seconds)
        finally:
            if span is not None:
                if result.reason is not None:
                    span.set_attribute(RETRY_REASON, result.reason)
                finish(span, state=result.state, error=result.error)


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
