"""Publishing: facts -> decision -> PRODUCER span -> headers, and its end, whatever happens.

``send_task`` is wrapped, because only there a publish that fails can be seen; the signal inside it does the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from celery import Celery
from celery._state import get_current_app
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, SpanContext, get_current_span, set_span_in_context

from celery_otel_links._config.modes import MODES, Mode
from celery_otel_links._emit.attributes import HANDOVER, producer
from celery_otel_links._emit.spans import finish
from celery_otel_links._errors import contained
from celery_otel_links._rules.canvas import Shape, header_task_ids
from celery_otel_links._rules.claims import Moment, claims_of
from celery_otel_links._rules.message import PLAIN_OUT, RECEIVED, SECOND, Message, Outgoing, outgoing
from celery_otel_links._rules.policy import beyond
from celery_otel_links._rules.texts import type_name
from celery_otel_links._tracing.attempt import Attempt, running
from celery_otel_links._tracing.delivery import Delivery
from celery_otel_links._tracing.plans import TASK_ATTRIBUTE, Plan, Plans, Stamp
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._wire import chord_store, w3c
from celery_otel_links._wire import header as wire

# What stands in a request, and would be copied into the messages that its task publishes, such as a retry.
_NOT_TO_BE_COPIED = (wire.HEADERS_HEADER, RECEIVED, SECOND)


class Asked(NamedTuple):
    """What blocks around a publish ask for."""

    mode: Mode | None = None
    """Of the innermost ``with propagation()``."""
    captured: float | None = None
    """When the context was captured that the innermost ``with attach()`` restores."""


class Publishing:
    """One ``send_task`` under way, with what the blocks around it ask for; between two of them just that."""

    __slots__ = ("app", "asked", "name", "plan", "span", "stamp", "started", "task", "token")

    def __init__(self, asked: Asked, app: Celery | None = None, name: str | None = None, task: Any = None) -> None:
        self.asked = asked
        self.app = app
        self.name = name
        """Of the task, until its message is there."""
        self.task = task
        self.plan: Plan | None = None
        self.stamp: Stamp | None = None
        self.span: Span | None = None
        self.token: Token[Context] | None = None
        self.started = 0.0


NOTHING_ASKED = Asked()
under_way: ContextVar[Publishing | None] = ContextVar("celery_otel_links_publishing", default=None)


def send_task(
    telemetry: Telemetry, wrapped: Callable[..., Any], app: Celery, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Around ``Celery.send_task``: whatever happens inside, the span ends and the context is as it was."""
    outer = under_way.get()
    asked = NOTHING_ASKED if outer is None else outer.asked
    publishing = Publishing(asked, app, args[0] if args else kwargs.get("name"), kwargs.get("task_type"))
    token = under_way.set(publishing)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        _end(telemetry, publishing, error)
        raise
    else:
        _end(telemetry, publishing, None)
        return result
    finally:
        under_way.reset(token)


def before(telemetry: Telemetry, message: Message) -> None:
    """``before_task_publish``: decide, start the PRODUCER span, make it current, write the headers."""
    publishing = under_way.get()
    if publishing is not None and publishing.app is not None and publishing.name == message.name:
        publishing.name = None
        _before(telemetry, publishing, publishing.app, message)
        return
    # Published without send_task, perhaps by a receiver within one: its end can't be seen, so it is now.
    publishing = Publishing(NOTHING_ASKED if publishing is None else publishing.asked)
    try:
        _before(telemetry, publishing, get_current_app(), message)
        publishing.started = 0.0
    finally:
        _end(telemetry, publishing, None)


def _before(telemetry: Telemetry, publishing: Publishing, app: Celery, message: Message) -> None:
    asked, headers, now = publishing.asked, message.headers, time.time()
    plans = telemetry.plans(app)
    config = plans.config
    attempt = running.get()
    delivery = None if attempt is None else attempt.delivery
    publisher = predecessor = None
    if attempt is not None and delivery is not None:
        publisher, predecessor = attempt.publisher(delivery), attempt.predecessor(delivery)
    facts = outgoing(message, publisher, app)
    plan = plans.to_publish(app, message, publishing.task)
    active = get_current_span().get_span_context()
    delayed = facts.eta is not None and beyond(facts.eta - now, config.delay_threshold)
    moment = Moment(now, active, delayed, config.delay_threshold)
    call = _asked_by_call(message) or asked.mode
    stamp = _decide(telemetry, plans, plan, Case(facts, call, delayed, active, delivery))
    claims = stamp.claims
    if facts is not PLAIN_OUT or asked.captured is not None or (attempt is not None and attempt.origin is not None):
        claims = claims_of(facts, stamp.decision, predecessor, moment)._replace(captured=asked.captured)
    reserved = None
    if not plan.excluded and is_instrumentation_enabled():
        publishing.plan, publishing.stamp, publishing.started = plan, stamp, time.perf_counter()
        if not telemetry.spans.skips(active):
            with contained("the start of a PRODUCER span"):
                attributes = producer(stamp.attributes, message, facts, plans.style.contrib_names)
                if asked.captured is not None:
                    attributes[HANDOVER] = max(0.0, now - asked.captured)
                publishing.span = span = telemetry.spans.producer(plan.span_name, attributes)
                publishing.token = otel.attach(set_span_in_context(span))
                if stamp.decision.mode == "link" and plan.reserves(stamp.decision):
                    reserved = telemetry.spans.reserve(span, claims.first)
                if config.publish_hook is not None and span.is_recording():
                    config.publish_hook(span, message)
    w3c.inject(headers, otel.get_current(), config.baggage)
    for name in _NOT_TO_BE_COPIED:
        headers.pop(name, None)
    if claims is stamp.claims:
        headers[wire.HEADER] = wire.encode_plainly(now, stamp.text, reserved)
    else:
        headers[wire.HEADER] = wire.encode(now, claims._replace(reserved=reserved))
    if facts.shape is Shape.CHORD_BODY and attempt is not None and delivery is not None:
        headers[wire.HEADERS_HEADER] = _header_runs(app, attempt, delivery, config.fan_in)


class Case(NamedTuple):
    """What a decision about a message depends on, besides its plan."""

    facts: Outgoing
    call: Mode | None
    delayed: bool
    active: SpanContext
    delivery: Delivery | None
    """Of the task that publishes it."""


def _decide(telemetry: Telemetry, plans: Plans, plan: Plan, case: Case) -> Stamp:
    facts, call, delayed, active, delivery = case
    if facts.shape is not Shape.SINGLE:
        inherited = delivery.decision if delivery is not None and facts.shape is Shape.RETRY else None
        fan_out = facts.shape is Shape.FAN_OUT
        return plan.stamp(plan.decide(call=call, fan_out=fan_out, delayed=delayed, inherited=inherited))
    _, span_id, _, _, _, valid = active  # its properties are Python calls
    threshold = plans.config.fan_out_threshold
    looped = valid and threshold is not None and telemetry.published.with_one_more(span_id) > threshold
    itself = delivery is not None and delivery.plan.route.name == plan.route.name
    if call is None and not (delayed or looped or itself):
        return plan.plain or plan.decide_plainly()
    return plan.stamp(plan.decide(call=call, looped=looped, publishes_itself=itself, delayed=delayed))


def _end(telemetry: Telemetry, publishing: Publishing, error: BaseException | None) -> None:
    plan, stamp, span, token = publishing.plan, publishing.stamp, publishing.span, publishing.token
    if plan is None or stamp is None:
        return
    publishing.plan = publishing.span = None
    try:
        instruments = telemetry.metrics.active()
        if instruments is not None:
            seconds = time.perf_counter() - publishing.started if publishing.started else None
            failed = None if error is None else type_name(error)
            context = None if span is None else span.get_span_context()
            instruments.published(plan.task_labels, plan.operation_labels, stamp.decision, failed, seconds, context)
        if span is not None:
            finish(span, state=None, error=error)
    finally:
        if token is not None:
            otel.detach(token)


def _asked_by_call(message: Message) -> Mode | None:
    """The mode that the call names: ``apply_async(otel_propagation=...)``, or a header. It is taken off the message."""
    asked = None
    if wire.CALL_HEADER in message.headers:
        asked = message.headers.pop(wire.CALL_HEADER)
    if TASK_ATTRIBUTE in message.properties:
        asked = message.properties.pop(TASK_ATTRIBUTE)
    return asked if asked in MODES else None


def _header_runs(app: Celery, attempt: Attempt, delivery: Delivery, enabled: bool | None) -> str:
    """What the body of a chord gets that ``attempt``, the last header task or ``celery.chord_unlock``, publishes."""
    if attempt.header_runs is None:
        request = delivery.request
        contexts = chord_store.gather(app, request.group, header_task_ids(request), enabled)
        if not contexts and attempt.context is not None:
            contexts = [attempt.context]
        attempt.header_runs = wire.encode_headers(contexts)
    return attempt.header_runs
