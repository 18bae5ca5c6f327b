"""What a message says about itself: its decision, and its place among attempts and chords. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry.trace import SpanContext

from celery_otel_links._rules.facts import ROOT, Chord, Claims, Decision, Outgoing, Shape
from celery_otel_links._rules.policy import beyond


class Predecessor(NamedTuple):
    """The attempt that publishes the message, as far as what it publishes depends on it."""

    decision: Decision
    claims: Claims
    chords: tuple[str | None, ...]
    """The chords that its message is in, innermost first."""
    published: float | None
    creation: SpanContext | None
    origin: SpanContext | None
    context: SpanContext | None
    """Its run span, if it has one."""
    first: SpanContext | None
    """Where the attempts of its task belong: their parent."""


class Moment(NamedTuple):
    """When and where a message is published."""

    now: float
    active: SpanContext
    delayed: bool
    """It is due later than the threshold."""
    threshold: float | None
    """Seconds after which the body of a chord is no part of the trace that published the chord."""
    captured: float | None = None
    """When the context was captured that it is published with, if that was earlier."""


def claims_of(message: Outgoing, decision: Decision, publisher: Predecessor | None, moment: Moment) -> Claims:
    """The claims of ``message``, as far as its own span is not needed for them."""
    fields: dict[str, Any] = {"captured": moment.captured}
    if message.chords:
        fields["chords"] = _chords(message, publisher, moment)
    if publisher is not None:
        fields["origin"] = publisher.origin
        if message.shape is Shape.RETRY:
            fields.update(_attempt(decision, publisher, moment.delayed))
        elif message.shape is Shape.CHORD_BODY:
            fields.update(_body(publisher, moment))
    return Claims(decision.mode, decision.reason, decision.rank, **fields)


def _chords(message: Outgoing, publisher: Predecessor | None, moment: Moment) -> tuple[Chord, ...]:
    """Where and when each chord that the message is in was published: here, or before the task that publishes it."""
    here = Chord(moment.now, moment.active if moment.active.is_valid else None)
    if publisher is None or not publisher.claims.chords:
        return (here,) * len(message.chords)
    pairs = zip(publisher.chords, publisher.claims.chords, strict=False)
    known = {key: chord for key, chord in pairs if key is not None}
    if message.shape is Shape.CHORD_BODY:
        here = publisher.claims.chords[0]  # a chord that is the body of a chord was published with it
    return tuple(here if key is None else known.get(key, here) for key in message.chords)


def _attempt(decision: Decision, publisher: Predecessor, delayed: bool) -> dict[str, Any]:
    linked = decision.mode == "link"
    # Where the attempts do not share a trace there is no first one to belong to.
    apart = decision.mode != publisher.decision.mode or (linked and delayed)
    return {
        "previous": publisher.context,
        "first": None if apart else publisher.first,
        "first_published": publisher.claims.first_published or publisher.published,
        "origin": publisher.origin or (publisher.creation if linked and apart else None),
    }


def _body(publisher: Predecessor, moment: Moment) -> dict[str, Any]:
    if not publisher.claims.chords:
        return {"body": ROOT}
    published, context = publisher.claims.chords[0]
    if context is None:
        return {"body": ROOT}
    # Header tasks have different origins in the trace of their chord; the body goes by none of them but by the chord.
    elsewhere = publisher.origin is not None and publisher.origin.trace_id != context.trace_id
    late = beyond(moment.now - published, moment.threshold)
    return {"body": ROOT if late else context, "origin": publisher.origin if elsewhere else context}
