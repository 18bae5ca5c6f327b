"""A delivered message -> decision -> relation -> the CONSUMER span that it is to have, wherever that is started."""

from __future__ import annotations

from contextvars import Token
from typing import Any

from celery import Celery
from opentelemetry import context as otel
from opentelemetry.trace import Span, SpanContext, set_span_in_context

from celery_otel_links._config.options import MODES
from celery_otel_links._emit import attributes as _attributes
from celery_otel_links._emit.attributes import Style
from celery_otel_links._rules.canvas import Request, Running, next_id
from celery_otel_links._rules.latency import Latency, measure
from celery_otel_links._rules.message import Incoming, Route, header, incoming
from celery_otel_links._rules.policy import Decision, beyond, capped
from celery_otel_links._rules.relation import Relation, limited, relate
from celery_otel_links._tracing.plans import Plan
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._wire import header as _wire
from celery_otel_links._wire import w3c as _carrier


class Run:
    """One delivery of a message and the attempt that comes of it; kept on the request while it runs.

    Made of the message before there is a span: everything that the span will say when it starts is known then.
    """

    __slots__ = (
        "carried",
        "claims",
        "context",
        "creation",
        "decision",
        "first",
        "headers",
        "message",
        "next_id",
        "origin",
        "plan",
        "published",
        "relation",
        "request",
        "span",
        "start",
        "started",
        "token",
    )

    def __init__(
        self, telemetry: Telemetry, app: Celery, task: Any, name: str, request: Request, kwargs: Any, start: float
    ) -> None:
        config = telemetry.config(app)
        self.request = request
        self.start = start
        self.message = message = incoming(request, name, kwargs, app)
        self.next_id = next_id(request)
        plans, key = telemetry.plans(app), (message.name, message.rule_name, message.exchange, message.queue, None)
        plan = plans.get(key)
        if plan is None:
            route = Route(message.name, message.rule_name, message.queue, message.exchange, message.queue)
            plan = telemetry.plan(app, key, "process", route, task)
        self.plan = plan
        self.published, claims = _wire.decode(header(request, _wire.HEADER))
        trust = None if message.eager else plan.trust
        self.claims = claims = limited(claims, trust)
        self.decision = capped(_decide(plan, message, request, claims, start), trust)
        if message.eager:
            self.carried = otel.get_current()
            self.creation = _carrier.creation(self.carried)
            self.relation = Relation(self.creation)
        else:
            self.carried, self.creation = _carrier.extract(request, config.baggage)
            if trust == "none":
                self.creation = None
            if trust is not None and trust != "child":
                self.carried = otel.Context()  # no baggage, and nothing that passes through an excluded task
            self.relation = _relation(telemetry, self, request)
        self.origin = claims.origin
        if self.origin is None and self.decision.mode == "link":
            self.origin = self.creation  # decided here: the publisher did not know
        self.span: Span | None = None
        self.context: SpanContext | None = None
        self.first: SpanContext | None = None
        self.headers: str | None = None
        """What the body of a chord is told of its headers, once it is known."""

    started: float
    """When the task started, by ``perf_counter``."""
    token: Token[otel.Context]

    def running(self) -> Running:
        """What the classifier of messages has to know of the task that publishes them."""
        message = self.message
        return Running(self.request, message.id, message.name, message.retries, self.next_id)

    def latency(self) -> Latency | None:
        """How long the message waited; None of a task that ran without one."""
        if self.message.eager:
            return None
        return measure(
            start=self.start,
            published=self.published,
            eta=self.message.eta,
            received=_received(self.request),
            first_published=self.claims.first_published if self.message.retries else None,
        )

    def attributes(self, style: Style) -> _attributes.Attributes:
        """The attributes that the span starts with."""
        return _attributes.consumer(
            self.plan.attributes,
            self.message,
            self.request,
            self.decision,
            self.latency(),
            self.relation.dropped,
            style,
        )

    def open(self, telemetry: Telemetry, at: float | None = None) -> otel.Context:
        """Start the span, exactly as this delivery is to have it. Returns the context with it."""
        relation, context = self.relation, self.carried
        if not self.message.eager:
            context = _carrier.below(context, self.creation, relation.parent)
        attributes = _attributes.Lazy(self.attributes, telemetry.style)
        self.span = span = telemetry.spans.consumer(self.plan.span_name, context, relation, attributes, at)
        span_context = span.get_span_context()
        self.context = span_context if span_context.is_valid else None
        self.first = relation.parent or self.context
        return set_span_in_context(span, context)


def _decide(plan: Plan, message: Incoming, request: Request, claims: _wire.Claims, start: float) -> Decision:
    """What the worker knows, with what the publisher decided as one more voice."""
    if claims.mode is not None and claims.rank is not None:
        return plan.decide(None, inherited=Decision(claims.mode, claims.reason or "unknown", claims.rank))
    called = header(request, _wire.CALL_HEADER)
    # Nobody said when it was published; a worker receives a message with an eta well before it is due.
    ahead = 0.0 if message.eta is None else message.eta - (_received(request) or start)
    return plan.decide(
        called if isinstance(called, str) and called in MODES else None,
        fan_out=message.fan_out,
        delayed=beyond(ahead, plan.config.delay_threshold),
    )


def _relation(telemetry: Telemetry, run: Run, request: Request) -> Relation:
    message, text = run.message, header(request, _wire.HEADERS_HEADER)
    headers, dropped = _wire.decode_headers(text) if text is not None else ((), 0)
    return relate(
        run.decision.mode,
        run.creation,
        run.claims,
        retry=message.retries > 0,
        redelivered=message.redelivered,
        headers=headers,
        dropped=dropped,
        beside=telemetry.style.current_names,
    )


def _received(request: Request) -> float | None:
    received = getattr(request, _wire.RECEIVED, None)
    return received if isinstance(received, float) and 0 < received < 1e11 else None
