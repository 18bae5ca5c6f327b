"""What a batch says, all of its messages together: its run is a root that links to the creation context of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from opentelemetry.trace import SpanContext

from celery_otel_links._rules.facts import Decision, LinkKind, Mode, Relation, Request
from celery_otel_links._rules.latency import Latency, epoch, measure
from celery_otel_links._rules.policy import NO_CONTEXT, capped
from celery_otel_links._rules.relation import limited
from celery_otel_links._rules.request import header, received_at
from celery_otel_links._wire import header as wire

BATCH = Decision("link", "batch", 0)
"""Of the run of a batch, whatever the rules say about its messages: they may come from many traces."""


Message = tuple[Request, "SpanContext | None"]
"""A message and its creation context."""


class Batch(NamedTuple):
    """What a delivery has to know of all messages of a batch."""

    decision: Decision
    relation: Relation
    published: float | None
    """When the first of them was published."""
    origin: SpanContext | None
    latency: Latency
    """Of the message that was published first."""
    others: tuple[Latency, ...]


class _Member(NamedTuple):
    """One message of a batch."""

    creation: SpanContext | None
    origin: SpanContext | None
    published: float | None
    latency: Latency


def batch_of(messages: Iterable[Message], trust: Mode, start: float, most_links: int) -> Batch:
    """The batch of these ``messages``, which starts at ``start`` and came from a queue that is trusted so far."""
    members = [_member(message, creation, trust, start) for message, creation in messages]
    links: list[tuple[LinkKind, SpanContext]] = [
        ("producer", member.creation) for member in members if member.creation is not None
    ]
    oldest = min(members, key=lambda member: math.inf if member.published is None else member.published)
    decision = capped(BATCH, trust)
    return Batch(
        decision=NO_CONTEXT if decision is BATCH and not links else decision,
        relation=Relation(None, tuple(links[:most_links]), max(0, len(links) - most_links)),
        published=oldest.published,
        origin=_common_origin(members),
        latency=oldest.latency,
        others=tuple(member.latency for member in members if member is not oldest),
    )


def _member(message: Request, creation: SpanContext | None, trust: Mode, start: float) -> _Member:
    published, claims = wire.decode(header(message, wire.HEADER))
    creation = None if trust == "none" else creation
    latency = measure(start, published, epoch(message.eta), received_at(message), None, claims.captured)
    return _Member(creation, limited(claims, trust).origin or creation, published, latency)


def _common_origin(members: list[_Member]) -> SpanContext | None:
    """Where the stories of all messages began, if that is one trace: what the batch publishes can name only one."""
    first, *others = (member.origin for member in members)
    same = first is not None and all(other is not None and other.trace_id == first.trace_id for other in others)
    return first if same else None
