"""Publishing, on one screen: facts -> decision -> PRODUCER span -> headers, and its end, whatever happens.

``send_task`` is wrapped, because only there a publish that fails can be seen; the signals inside it do the work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

from celery import Celery
from celery._state import get_current_app, get_current_task
from opentelemetry import context as otel
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, SpanContext, get_current_span, set_span_in_context

from celery_otel_links._config.options import MODES, Config, Mode, mode_of
from celery_otel_links._emit import attributes as _attributes
from celery_otel_links._emit.spans import finish, type_name
from celery_otel_links._errors import contained
from celery_otel_links._rules.canvas import Shape, header_ids_of_unlock
from celery_otel_links._rules.claims import claims_of
from celery_otel_links._rules.message import Outgoing, outgoing, route
from celery_otel_links._rules.policy import Decision, beyond
from celery_otel_links._tracing.delivery import Run
from celery_otel_links._tracing.plans import Plan
from celery_otel_links._tracing.run import run_of
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._wire import chord_store
from celery_otel_links._wire import header as _wire
from celery_otel_links._wire import w3c as _carrier

_SPANS_COUNTED = 64


class Publishing:
    """One ``send_task`` under way."""

    __slots__ = ("app", "plan", "span", "started", "task", "token")

    def __init__(self, app: Celery, task: Any = None) -> None:
        self.app = app
        self.task = task
        self.span: Span | None = None
        self.token: Token[otel.Context] | None = None
        self.started = 0.0

    plan: Plan


_under_way: ContextVar[Publishing | None] = ContextVar("celery_otel_links_publishing", default=None)
_chosen: ContextVar[Mode | None] = ContextVar("celery_otel_links_chosen", default=None)
_counts: ContextVar[dict[int, int] | None] = ContextVar("celery_otel_links_counts", default=None)


@contextmanager
def propagation(mode: Mode) -> Iterator[None]:
    """Publish in ``mode`` (``"child"``, ``"link"`` or ``"none"``) whatever is published inside the ``with`` block.

    The innermost block counts; the header ``otel-propagation`` of a single call outranks it.

    Raises:
        ConfigError: there is no such mode.
    """
    token = _chosen.set(mode_of(mode, "propagation()"))
    try:
        yield
    finally:
        _chosen.reset(token)


def send_task(
    telemetry: Telemetry, wrapped: Callable[..., Any], app: Celery, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Around ``Celery.send_task``: whatever happens inside, the span ends and the context is as it was.

    Raises:
        ConfigError: the configuration is read for the first time here, and wrong.
    """
    if telemetry.resolved is None:
        telemetry.config(app)
    publishing = Publishing(app, kwargs.get("task_type"))
    token = _under_way.set(publishing)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        _end(telemetry, publishing, error)
        raise
    else:
        _end(telemetry, publishing, None)
        return result
    finally:
        _under_way.reset(token)


def before(
    telemetry: Telemetry,
    name: str,
    headers: dict[str, Any],
    body: Any,
    properties: Mapping[str, Any],
    exchange: Any,
    routing_key: Any,
    declare: Any,
) -> None:
    """``before_task_publish``: decide, start the PRODUCER span, make it current, write the headers."""
    publishing = _under_way.get()
    outside = publishing is None  # somebody publishes without send_task: nothing would end the span for sure
    if publishing is None:
        publishing = Publishing(get_current_app())
    app, now = publishing.app, time.time()
    config = telemetry.config(app)
    task = get_current_task()
    run = None if task is None else run_of(task.request)
    message = outgoing(name, headers, body, properties, None if run is None else run.running(), app)
    plans, key = telemetry.plans(app), (name, message.rule_name, exchange, routing_key)
    plan = plans.get(key)
    if plan is None:
        where = route(message, exchange, routing_key, declare)
        plan = telemetry.plan(app, key, "send", where, publishing.task)
    context = otel.get_current()
    active = get_current_span(context).get_span_context()
    called = _called(headers, message.shape)
    delayed = message.eta is not None and beyond(message.eta - now, config.delay_threshold)
    decision = _decide(plan, message, called, delayed, active, run)
    claims = claims_of(message, decision, run, active, now, delayed=delayed, threshold=config.delay_threshold)
    span_context = active
    if not plan.excluded and is_instrumentation_enabled():
        publishing.plan = plan
        publishing.span = span = telemetry.spans.producer(
            plan.span_name, _attributes.Lazy(_attributes.producer, plan.attributes, message, decision)
        )
        context = set_span_in_context(span, context)
        span_context = span.get_span_context()
        if decision.mode == "link":
            claims = _linked(telemetry, span, claims, plan.trust)
        if config.publish_hook is not None and span.is_recording():
            with contained("publish_hook"):
                config.publish_hook(span, message)
        publishing.token = None if outside else otel.attach(context)
    _carrier.inject(headers, context, span_context, config.baggage)
    headers[_wire.HEADER] = _wire.encode(now, claims)
    if message.shape is Shape.CHORD_BODY and run is not None:
        headers[_wire.HEADERS_HEADER] = _header_tasks(app, run, message.body_of_group, config)
    publishing.started = time.perf_counter()
    if outside:
        _end(telemetry, publishing, None)


def _header_tasks(app: Celery, run: Run, group: str | None, config: Config) -> str:
    """The header for the body that ``run``, the last header task or ``celery.chord_unlock``, is publishing."""
    if run.headers is None:  # a body that is a group is published as several messages
        contexts = chord_store.gather(app, group, header_ids_of_unlock(run.request), config.fan_in)
        if not contexts and run.context is not None:
            contexts = [run.context]
        run.headers = _wire.encode_headers(contexts)
    return run.headers


def _end(telemetry: Telemetry, publishing: Publishing, error: BaseException | None) -> None:
    span = publishing.span
    if span is None:
        return
    publishing.span = None
    with contained("recording the metrics of a publish"):
        if instruments := telemetry.metrics.active():
            # Outside of send_task nobody sees the end of it.
            seconds = None if publishing.token is None else time.perf_counter() - publishing.started
            error_type = None if error is None else type_name(error)
            instruments.published(publishing.plan, seconds, error_type, span.get_span_context())
    with contained("ending the span of a publish"):
        finish(span, state=None, error=error)
    if publishing.token is not None:
        otel.detach(publishing.token)


def _called(headers: dict[str, Any], shape: Shape) -> str | None:
    """What the call says. Also rids a retry of the fields that Celery copied from the message it retries."""
    called = headers.pop(_wire.CALL_HEADER, None) if _wire.CALL_HEADER in headers else None
    if shape is not Shape.SINGLE or _wire.HEADER in headers:
        for name in (_wire.HEADER, _wire.HEADERS_HEADER, _wire.RECEIVED):
            headers.pop(name, None)
    if shape is Shape.RETRY:
        _carrier.drop(headers)
    return called if isinstance(called, str) and called in MODES else _chosen.get()


def _decide(
    plan: Plan, message: Outgoing, called: str | None, delayed: bool, active: SpanContext, run: Run | None
) -> Decision:
    shape = message.shape
    if shape is not Shape.SINGLE:
        inherited = run.decision if run is not None and shape is Shape.RETRY else None
        return plan.decide(called, fan_out=shape is Shape.FAN_OUT, delayed=delayed, inherited=inherited)
    looped = active.is_valid and beyond(_count(active), plan.config.fan_out_threshold)
    itself = run is not None and run.message.name == message.name
    return plan.decide(called, looped=looped, publishes_itself=itself, delayed=delayed)


def _linked(telemetry: Telemetry, span: Span, claims: _wire.Claims, trust: Mode | None) -> _wire.Claims:
    """What only the PRODUCER span of a linked message can add; nothing is reserved where a worker would not use it."""
    created = span.get_span_context()
    return claims._replace(
        origin=claims.origin or (created if created.is_valid else None),
        reserved=telemetry.spans.reserve(span, claims.first) if trust in (None, "child") else None,
    )


def _count(active: SpanContext) -> int:
    """How many messages the active span has published, with this one; remembered for the last few spans only."""
    counts = _counts.get()
    if counts is None:
        _counts.set(counts := {})
    count = counts[active.span_id] = counts.pop(active.span_id, 0) + 1
    if len(counts) > _SPANS_COUNTED:
        del counts[next(iter(counts))]
    return count
