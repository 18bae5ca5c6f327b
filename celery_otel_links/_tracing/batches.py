"""The delivery of a batch: a root that links to the creation context of every message."""

from __future__ import annotations

import math
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from celery_otel_links._rules.batch import messages_of
from celery_otel_links._rules.facts import NOTHING, Decision, Incoming, LinkKind, Relation, Request
from celery_otel_links._rules.latency import Latency, measure
from celery_otel_links._rules.message import epoch
from celery_otel_links._rules.policy import NO_CONTEXT, capped
from celery_otel_links._rules.relation import limited
from celery_otel_links._rules.request import header, received_at
from celery_otel_links._tracing.delivery import Delivery
from celery_otel_links._tracing.plans import Plan
from celery_otel_links._wire import header as wire
from celery_otel_links._wire import w3c

BATCH = Decision("link", "batch", 0)
"""Of the run of a batch, whatever the rules say about its messages: they may come from many traces."""


class _Member(NamedTuple):
    """One message of a batch."""

    creation: SpanContext | None
    origin: SpanContext | None
    published: float | None
    latency: Latency


def deliver_batch(plan: Plan, request: Request, start: float, most_links: int) -> Delivery:
    """The delivery of a batch that starts at ``start``. Its latency is that of the message that was published first."""
    members = [_member(plan, message, start) for message in messages_of(request)]
    links: list[tuple[LinkKind, SpanContext]] = [
        ("producer", member.creation) for member in members if member.creation is not None
    ]
    oldest = min(members, key=lambda member: math.inf if member.published is None else member.published)
    decision = capped(BATCH, plan.trust)
    if not links and decision is BATCH:
        decision = NO_CONTEXT
    return Delivery(
        plan=plan,
        id="",
        request=request,
        facts=Incoming(messages=len(members)),
        start=start,
        published=oldest.published,
        claims=NOTHING,
        decision=decision,
        stamp=plan.stamp(decision),
        carried=Context(),
        creation=None,
        origin=_common_origin(members),
        relation=Relation(None, tuple(links[:most_links]), max(0, len(links) - most_links)),
        latency=oldest.latency,
        others=tuple(member.latency for member in members if member is not oldest),
    )


def _member(plan: Plan, message: Request, start: float) -> _Member:
    published, claims = wire.decode(header(message, wire.HEADER))
    creation = None if plan.trust == "none" else w3c.extract(message, False)[1]
    latency = measure(
        start=start,
        published=published,
        eta=epoch(message.eta),
        received=received_at(message),
        captured=claims.captured,
    )
    return _Member(creation, limited(claims, plan.trust).origin or creation, published, latency)


def _common_origin(members: list[_Member]) -> SpanContext | None:
    """Where the stories of all messages began, if that is one trace: what the batch publishes can name only one."""
    first, *others = (member.origin for member in members)
    same = first is not None and all(other is not None and other.trace_id == first.trace_id for other in others)
    return first if same else None
