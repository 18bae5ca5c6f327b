"""A delivery, which is a message as a worker got it, and an attempt, which is a delivery that runs.

A delivery is worked out of a request, its plan and the time: decision, relation, latency. Nothing is started by that,
and nothing changed; it exists before there is a span, and without one. An attempt is what changes while a task runs.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from functools import cached_property
from typing import NamedTuple

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext

from celery_otel_links._config.options import Config
from celery_otel_links._emit.instruments import Instruments
from celery_otel_links._rules.canvas import Publisher
from celery_otel_links._rules.claims import Predecessor
from celery_otel_links._rules.facts import MODES, NOTHING, PLAIN_IN, Claims, Decision, Incoming, Mode, Relation, Request
from celery_otel_links._rules.latency import Latency, measure, plainly_measured
from celery_otel_links._rules.policy import NO_CONTEXT, beyond, capped
from celery_otel_links._rules.relation import Arrival, limited, plainly_related, relate
from celery_otel_links._rules.request import RECEIVED, header, messages_of, received_at
from celery_otel_links._tracing.batches import batch_of
from celery_otel_links._tracing.plans import Plan, Reading, Stamp
from celery_otel_links._wire import header as wire
from celery_otel_links._wire import w3c

_EMPTY = Context()


class Delivery(NamedTuple):
    """A message as a worker got it. Everything that its span will have when it starts is known."""

    plan: Plan
    request: Request
    facts: Incoming
    start: float
    published: float | None
    """When it was published, by the publisher's clock."""
    claims: Claims
    decision: Decision
    stamp: Stamp
    """What its span says of the decision."""
    carried: Context
    """The context that the message carries, and nothing else."""
    creation: SpanContext | None
    """The creation context."""
    relation: Relation
    latency: Latency | None
    """None of a task that ran without a message."""
    others: tuple[Latency, ...] = ()
    """Of a batch: the latencies of all messages but the one that was published first."""

    @property
    def id(self) -> str:
        """Of the task; empty of a batch."""
        return "" if self.facts.messages else str(self.request.id)

    @property
    def origin(self) -> SpanContext | None:
        """The creation context with which the story left the trace where it began; with a link, it leaves it here."""
        return self.claims.origin or (self.creation if self.decision.mode == "link" else None)


def deliver(config: Config, plan: Plan, facts: Incoming, request: Request, start: float, most_links: int) -> Delivery:
    """The delivery that ``request`` is about, of a task that starts at ``start``; a span can have ``most_links``."""
    if facts.messages:
        return _deliver_batch(plan, facts, request, start, most_links)
    fields, plainly = vars(request), None
    reserved: SpanContext | None = None
    latency: Latency | None = None
    published: float | None
    if facts is PLAIN_IN and not plan.beside:
        plainly = wire.decode_plainly(fields.get(wire.HEADER) or header(request, wire.HEADER))
    if plainly is not None:  # there is nothing special about it, and it claims no more than a decision
        published, decided, reserved = plainly
        claims, stamp = plan.readings.get(decided) or _read(plan, decided)
        latency = plainly_measured(start, published, fields.get(RECEIVED))
    else:
        published, claims, stamp = _said(plan, facts, request, start, config.delay_threshold)
    decision = stamp.decision
    if facts.eager:
        carried = otel.get_current()
        creation = w3c.creation(carried)
        relation = Relation(creation)
    else:
        carried, creation = w3c.extract(request, config.baggage)
        if plan.trust != "child":
            carried, reserved = _EMPTY, None  # no baggage, and nothing that passes through an excluded task
            creation = None if plan.trust == "none" else creation
        if plainly is not None:
            relation = plainly_related(decision.mode, creation, reserved)
        else:
            arrival = _arrival(facts, request)
            relation = relate(decision.mode, creation, claims, arrival, beside=plan.beside, most=most_links)
        if creation is None and relation.parent is None and not relation.links and decision.reason != "trust":
            stamp = plan.stamp(NO_CONTEXT)
        if latency is None:
            first_published = claims.first_published if facts.retries else None
            latency = measure(start, published, facts.eta, received_at(request), first_published, claims.captured)
    return Delivery(
        plan,
        request,
        facts,
        start,
        published,
        claims,
        decision,
        stamp,
        carried,
        creation,
        relation,
        latency,
    )


def _deliver_batch(plan: Plan, facts: Incoming, request: Request, start: float, most_links: int) -> Delivery:
    messages = ((message, w3c.extract(message, False)[1]) for message in messages_of(request))
    decision, relation, published, origin, latency, others = batch_of(messages, plan.trust, start, most_links)
    return Delivery(
        plan=plan,
        request=request,
        facts=facts,
        start=start,
        published=published,
        claims=NOTHING._replace(origin=origin),
        decision=decision,
        stamp=plan.stamp(decision),
        carried=_EMPTY,
        creation=None,
        relation=relation,
        latency=latency,
        others=others,
    )


def _said(
    plan: Plan, facts: Incoming, request: Request, start: float, threshold: float | None
) -> tuple[float | None, Claims, Stamp]:
    """When a message was published, what it claims, and the decision, as far as its queue is trusted."""
    trust: Mode = "child" if facts.eager else plan.trust
    published, claims = wire.decode(header(request, wire.HEADER))
    claims = limited(claims, trust)
    decision = _inherited(plan, claims) or _alone(plan, facts, request, start, threshold)
    return published, claims, plan.stamp(capped(decision, trust))


def _read(plan: Plan, decided: str) -> Reading:
    """What the decision means that stands in a header; worked out once per text, of which there are few."""
    claims = limited(wire.read(decided), plan.trust)
    decision = _inherited(plan, claims)
    assert decision is not None, "the text names a decision"
    return plan.keep(decided, Reading(claims, plan.stamp(capped(decision, plan.trust))))


def _inherited(plan: Plan, claims: Claims) -> Decision | None:
    """What the worker decides with what the publisher decided as one more voice."""
    if claims.mode is None or claims.rank is None:
        return None
    return plan.decide(inherited=Decision(claims.mode, claims.reason or "unknown", claims.rank))


def _alone(plan: Plan, facts: Incoming, request: Request, start: float, threshold: float | None) -> Decision:
    """What the worker decides about a message that says nothing."""
    call = header(request, wire.CALL_HEADER)
    # Nobody says when it was published; a worker receives a message with an eta well before it is due.
    ahead = 0.0 if facts.eta is None else facts.eta - (received_at(request) or start)
    call = call if isinstance(call, str) and call in MODES else None
    return plan.decide(call=call, fan_out=facts.fan_out, delayed=beyond(ahead, threshold))


def _arrival(facts: Incoming, request: Request) -> Arrival:
    runs, dropped = wire.decode_headers(header(request, wire.HEADERS_HEADER))
    return Arrival(retry=facts.retries > 0, second=facts.second, header_runs=runs, dropped=dropped)


class Attempt:
    """One attempt of a task, from ``task_prerun`` to ``task_postrun``."""

    delivery: Delivery
    known = False
    """Whether there is a delivery: making it may have failed."""
    traced = False
    """Whether it has a span, or would have one if its trace was sampled."""
    over = False
    """Whether it has ended; a thread of the task may hold on to it."""
    span: Span | None = None
    token: Token[Context] | None = None
    around: Context | None = None
    """The context with its run span, where that is sampled and something is measured."""
    instruments: Instruments | None = None
    started = 0.0
    """By ``perf_counter``, where something is measured."""
    header_runs: str | None = None
    """The header with the run spans of the header tasks, once it is known: a body may be several messages."""

    def __init__(self, task_id: str | None, outer: Attempt | None) -> None:
        self.task_id = task_id
        self.outer = outer
        """The attempt in which this one runs, eagerly."""

    @property
    def context(self) -> SpanContext | None:
        """Of its run span."""
        if self.span is None:
            return None
        span_context = self.span.get_span_context()
        return span_context if span_context.is_valid else None

    @property
    def origin(self) -> SpanContext | None:
        """The creation context with which the story left the trace where it began."""
        delivery, outer = self.delivery, self.outer
        inherited = outer.origin if delivery.facts.eager and outer is not None and outer.known else None
        return delivery.origin or inherited

    @cached_property
    def publisher(self) -> Publisher:
        """What the classifier of messages has to know of the task that publishes them; the body of a chord is long."""
        delivery = self.delivery
        return Publisher.of(delivery.request, delivery.plan.route.name, delivery.facts.next_id)

    @cached_property
    def predecessor(self) -> Predecessor:
        """What a message that the attempt publishes depends on."""
        delivery = self.delivery
        return Predecessor(
            decision=delivery.decision,
            claims=delivery.claims,
            chords=delivery.facts.chords,
            published=delivery.published,
            creation=delivery.creation,
            origin=self.origin,
            context=self.context,
            first=delivery.relation.parent or self.context,
        )


running: ContextVar[Attempt | None] = ContextVar("celery_otel_links_running", default=None)
"""The attempt that runs here; threads and tasks that copy the context see it too."""


def current_attempt() -> Attempt | None:
    """The attempt that runs here, if its delivery is known."""
    attempt = running.get()
    return attempt if attempt is not None and attempt.known else None
