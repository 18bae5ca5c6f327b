"""A delivery: a message as a worker got it, with the decision about it, its relation and its latency.

Nothing is started and nothing changed by making one. It exists before there is a span, and without one.
"""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from celery_otel_links._config.modes import MODES, Mode
from celery_otel_links._rules.canvas import Request
from celery_otel_links._rules.latency import Latency, measure
from celery_otel_links._rules.message import PLAIN_IN, Incoming, header, received_at
from celery_otel_links._rules.policy import NO_CONTEXT, Decision, beyond, capped
from celery_otel_links._rules.relation import Arrival, Relation, limited, plainly_related, relate
from celery_otel_links._tracing.plans import Plan, Plans, Reading, Stamp
from celery_otel_links._wire import header as wire
from celery_otel_links._wire import w3c

_EMPTY = Context()


class Delivery(NamedTuple):
    """A message as a worker got it. Everything that its span will have when it starts is known."""

    plan: Plan
    id: str
    request: Request
    facts: Incoming
    start: float
    published: float | None
    """When it was published, by the publisher's clock."""
    claims: wire.Claims
    decision: Decision
    stamp: Stamp
    """What its span says of the decision."""
    carried: Context
    """The context that the message carries, and nothing else."""
    creation: SpanContext | None
    """The creation context."""
    origin: SpanContext | None
    """The creation context with which the story left the trace where it began."""
    relation: Relation
    latency: Latency | None
    """None of a task that ran without a message."""


class Said(NamedTuple):
    """What a message says about itself, as far as its queue is trusted."""

    published: float | None
    claims: wire.Claims
    stamp: Stamp
    reserved: SpanContext | None = None
    plainly: bool = False
    """It claims nothing but a decision, and perhaps a reserved context."""


def deliver(plans: Plans, plan: Plan, facts: Incoming, request: Request, start: float, most_links: int) -> Delivery:
    """The delivery that ``request`` is about, of a task that starts at ``start``; a span can have ``most_links``."""
    beside = plans.style.current_names
    said = _said(plan, facts, request, start, plans.config.delay_threshold, beside)
    published, claims, stamp, reserved, plainly = said
    decision, latency = stamp.decision, None
    if facts.eager:
        carried = otel.get_current()
        creation = w3c.creation(carried)
        relation = Relation(creation)
    else:
        carried, creation = w3c.extract(request, plans.config.baggage)
        if plan.trust != "child":
            carried = _EMPTY  # no baggage, and nothing that passes through an excluded task
            creation = None if plan.trust == "none" else creation
        if plainly:
            relation = plainly_related(decision.mode, creation, reserved)
        else:
            arrival = _arrival(facts, request)
            relation = relate(decision.mode, creation, claims, arrival, beside=beside, most=most_links)
        if creation is None and relation.parent is None and not relation.links and decision.reason != "trust":
            stamp = plan.stamp(NO_CONTEXT)
        latency = measure(
            start=start,
            published=published,
            eta=facts.eta,
            received=received_at(request),
            first_published=claims.first_published if facts.retries else None,
            captured=claims.captured,
        )
    origin = claims.origin
    if origin is None and decision.mode == "link":
        origin = creation  # it leaves the trace here
    return Delivery(
        plan,
        str(request.id),
        request,
        facts,
        start,
        published,
        claims,
        decision,
        stamp,
        carried,
        creation,
        origin,
        relation,
        latency,
    )


def _said(plan: Plan, facts: Incoming, request: Request, start: float, threshold: float | None, beside: bool) -> Said:
    text = header(request, wire.HEADER)
    plain = wire.decode_plainly(text) if facts is PLAIN_IN and not beside else None
    if plain is not None:
        published, decided, reserved = plain
        claims, stamp = plan.readings.get(decided) or _read(plan, decided)
        return Said(published, claims, stamp, reserved if plan.trust == "child" else None, True)
    trust: Mode = "child" if facts.eager else plan.trust
    time, claims = wire.decode(text)
    claims = limited(claims, trust)
    decision = _inherited(plan, claims) or _alone(plan, facts, request, start, threshold)
    return Said(time, claims, plan.stamp(capped(decision, trust)))


def _read(plan: Plan, decided: str) -> Reading:
    """What the decision means that stands in a header; worked out once per text, of which there are few."""
    claims = limited(wire.read(decided), plan.trust)
    decision = _inherited(plan, claims)
    assert decision is not None, "the text names a decision"
    return plan.keep(decided, Reading(claims, plan.stamp(capped(decision, plan.trust))))


def _inherited(plan: Plan, claims: wire.Claims) -> Decision | None:
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
