"""Running: the CONSUMER span is current from the task's start to its end, whatever comes between."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from celery import Celery
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, StatusCode, set_span_in_context

from celery_otel_links._declared.names import RETRY_REASON
from celery_otel_links._emit.attributes import consumer
from celery_otel_links._emit.instruments import Instruments
from celery_otel_links._emit.spans import is_sampled
from celery_otel_links._errors import PASSING, contained, swallow
from celery_otel_links._rules.facts import MODES, LostAttempt, Request
from celery_otel_links._rules.message import incoming
from celery_otel_links._rules.outcome import SUCCESS, Outcome, outcome
from celery_otel_links._rules.request import gathered, messages_of
from celery_otel_links._rules.texts import type_name
from celery_otel_links._tracing.delivery import Attempt, Delivery, deliver, running
from celery_otel_links._tracing.plans import Plan, Plans
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._wire import chord_store, w3c

_FAILED = Outcome("FAILURE")
"""Without an error: that of a task is expected, that of a batch is not known."""


class Runner:
    """Receives what happens when this process runs a task.

    ``begin`` and ``claim`` are asked before an attempt has a span, and before that ends; the second says whether this
    process reports the attempt, and not the main process of its pool. ``ended`` gets the state after an end that is
    without one, or, with ``flush_interval``, after any.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        begin: Callable[[Request], None],
        claim: Callable[[Request], bool],
        ended: Callable[[str | None], None],
    ) -> None:
        self._telemetry = telemetry
        self._begin = begin
        self._claim = claim
        self._ended = ended

    def task_prerun(self, *, task_id: str | None, task: Any, args: Any = None, kwargs: Any = None, **_: Any) -> None:
        """The delivery, an attempt of it, and its CONSUMER span, which is current from now on."""
        attempt = Attempt(task_id, running.get())
        running.set(attempt)  # also if what follows fails: its end is not that of an outer task
        try:
            request = task.request
            if request.id is None:  # of a batch
                request = gathered(request, args)
            if attempt.outer is not None:
                attempt.outer = self._around(request, attempt.outer)
            self._begin(request)
            self._start(attempt, task, request, kwargs)
        except PASSING:
            raise
        except Exception:
            swallow("task_prerun")

    def task_postrun(
        self, *, task_id: str | None, task: Any, retval: Any = None, state: str | None = None, **_: Any
    ) -> None:
        """The outcome, the end of the span, and the context as it was before."""
        attempt = running.get()
        if attempt is not None and attempt.task_id == task_id:  # otherwise a signal came before the attempt was there
            try:
                if attempt.traced and self._claim(attempt.delivery.request):
                    self._end(attempt, task, retval, state)
            except PASSING:
                raise
            except Exception:
                swallow("task_postrun")
            finally:
                running.set(attempt.outer)
                attempt.over = True
                if attempt.token is not None:
                    otel.detach(attempt.token)
        if state is None or self._telemetry.flush_interval is not None:
            self._ended(state)

    def _start(self, attempt: Attempt, task: Any, request: Request, kwargs: Any) -> None:
        app, name, now, telemetry = task.app, task.name, time.time(), self._telemetry
        config, plans = telemetry.settled or telemetry.settle(app)
        plan = plans.to_run(app, task, name, request.delivery_info or {}, kwargs)
        facts = incoming(request, name)
        if facts.messages:
            plan = _least_trusted(plans, app, task, name, request)
        delivery = deliver(config, plan, facts, request, now, telemetry.spans.most_links)
        attempt.delivery, attempt.known = delivery, True
        if plan.excluded or (otel.get_current() and not is_instrumentation_enabled()):
            attempt.token = otel.attach(delivery.carried)
            return
        context = delivery.carried
        attempt.instruments = instruments = telemetry.metrics.active()
        if instruments is not None:
            attempt.started = time.perf_counter()
        try:
            attempt.span, context = open_span(telemetry, delivery)
        except PASSING:
            attempt.traced = True  # the process lives on
            raise
        except Exception:  # a sampler or a processor; what the task publishes still belongs to its story
            swallow("the start of a run span")
        attempt.traced = True  # not before: where a signal that ends the process struck, the main process reports it
        attempt.token = otel.attach(context)
        if instruments is not None:
            attempt.around = context if is_sampled(attempt.span) else None
            _record_start(instruments, delivery, attempt.around)
        if config.run_hook is not None and attempt.span is not None and attempt.span.is_recording():
            with contained("run_hook"):
                config.run_hook(attempt.span, request)
        if facts.header_of is not None and attempt.context is not None:
            chord_store.store(app, facts.header_of, delivery.id, attempt.context, config.fan_in)

    def _around(self, request: Request, outer: Attempt) -> Attempt | None:
        """The attempt within which ``request`` runs: ``outer``, unless that is a batch which has ended unnoticed.

        SystemExit ends a batch without ``task_postrun``. In threads and in solo, and with older billiard in processes,
        the next task follows all the same; a process of a pool that reports the batch has to claim it as ever.
        """
        if request.is_eager or not (outer.known and outer.delivery.facts.messages):
            return outer
        with contained("the end of a batch"):
            if outer.traced and self._claim(outer.delivery.request):
                self._end(outer, None, SystemExit("The batch was ended from outside"), "FAILURE")
        if outer.token is not None:
            otel.detach(outer.token)
        return outer.outer

    def _end(self, attempt: Attempt, task: Any, retval: Any, state: str | None) -> None:
        delivery, span, instruments, result = attempt.delivery, attempt.span, attempt.instruments, SUCCESS
        if state != "SUCCESS":
            result = outcome(state, retval, sys.exc_info()[1], getattr(task, "throws", ()))
        try:
            if instruments is not None:
                end = (result.state, None if result.error is None else type_name(result.error))
                seconds, plan = time.perf_counter() - attempt.started, delivery.plan
                instruments.ended(plan.task_labels, plan.operation_labels, end, seconds, attempt.around)
                if self._telemetry.style.contrib_names:
                    worker = vars(delivery.request).get("hostname") or ""
                    instruments.ran_on(plan.route.name, str(worker), seconds)
        finally:
            if span is not None:
                if result is not SUCCESS:
                    _explain(span, delivery, result)
                self._telemetry.spans.finish(span, result.state, result.error)


def _record_start(instruments: Instruments, delivery: Delivery, context: Context | None) -> None:
    plan, latency = delivery.plan, delivery.latency
    if latency is None:
        return
    for one in (latency, *delivery.others):
        stamped = one.enqueue_to_start is not None
        instruments.started(plan.task_labels, plan.operation_labels, one, stamped, context)
    if delivery.facts.second:
        instruments.redelivered(plan.task_labels)


def _explain(span: Span, delivery: Delivery, result: Outcome) -> None:
    """Add to ``span`` what an end that is no success has to say, besides its state and its error."""
    if result.reason is not None:
        span.set_attribute(RETRY_REASON, result.reason)
    if delivery.facts.messages and result == _FAILED:
        span.set_status(StatusCode.ERROR, "celery-batches has logged the error")  # and says it nowhere else


def open_span(telemetry: Telemetry, delivery: Delivery, at: float | None = None) -> tuple[Span | None, Context]:
    """Start the span, exactly as this delivery is to have it. Returns it, and the context with it.

    There is none below a parent that is not sampled and stays so.
    """
    relation, context = delivery.relation, delivery.carried
    parent = relation.parent
    if not (delivery.facts.eager or (parent is not None and parent is delivery.creation)):
        context = w3c.below(context, delivery.creation, parent)
    if parent is not None and telemetry.spans.skips(parent):
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


def _least_trusted(plans: Plans, app: Celery, task: Any, name: str, request: Request) -> Plan:
    """The plan for a batch, whose messages may come from queues that are trusted differently."""
    found = [plans.to_run(app, task, name, one.delivery_info or {}, None) for one in messages_of(request)]
    return max(found, key=lambda plan: MODES.index(plan.trust))


def report(telemetry: Telemetry, lost: LostAttempt) -> None:
    """Make the one span of an attempt that its own process can't report; it ends now."""
    app, request, now = lost.app or telemetry.app, lost.request, time.time()
    if app is None:
        return
    fields = vars(request)
    name, start = lost.name or str(fields.get("task") or "unknown"), now if lost.start is None else lost.start
    config, plans = telemetry.settled or telemetry.settle(app)
    plan = plans.to_run(app, lost.task, name, fields.get("delivery_info") or {}, fields.get("kwargs"))
    facts = incoming(request, name)
    if facts.messages:
        plan = _least_trusted(plans, app, lost.task, name, request)
    delivery = deliver(config, plan, facts, request, start, telemetry.spans.most_links)
    if plan.excluded:
        return
    span, _ = open_span(telemetry, delivery, start)
    if span is not None:
        telemetry.spans.finish(span, lost.state, lost.error, int(now * 1e9))
    if instruments := telemetry.metrics.active():
        instruments.unfinished(plan.task_labels, (lost.state, None if lost.error is None else type_name(lost.error)))
