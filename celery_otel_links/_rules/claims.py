"""What a message says about itself: its decision, and its place among attempts and chords. Pure."""

from __future__ import annotations

import functools
from typing import Any

from opentelemetry.trace import SpanContext

from celery_otel_links._rules.canvas import Shape
from celery_otel_links._rules.message import Outgoing
from celery_otel_links._rules.policy import Decision, beyond
from celery_otel_links._tracing.delivery import Run
from celery_otel_links._wire.header import ROOT, Chord, Claims


def claims_of(
    message: Outgoing,
    decision: Decision,
    run: Run | None,
    active: SpanContext,
    now: float,
    *,
    delayed: bool,
    threshold: float | None,
) -> Claims:
    """The claims of ``message``, as far as its own span is not needed for them.

    It is published at ``now`` by ``run``, if by a task, while ``active`` is current; ``delayed`` if it is due later
    than ``threshold`` seconds from now, and that long after its chord was published a body is no part of its trace.
    """
    if run is None:
        return Claims(*decision, chords=_chords(message, run, active, now)) if message.chords else _plain(decision)
    fields: dict[str, Any] = {"origin": run.origin}
    if message.chords:
        fields["chords"] = _chords(message, run, active, now)
    if message.shape is Shape.RETRY:
        fields.update(_attempt(decision, run, delayed))
    elif message.shape is Shape.CHORD_BODY:
        fields.update(_body(run, now, threshold))
    return Claims(*decision, **fields)


@functools.lru_cache(maxsize=256)
def _plain(decision: Decision) -> Claims:
    return Claims(*decision)


def _chords(message: Outgoing, run: Run | None, active: SpanContext, now: float) -> tuple[Chord, ...]:
    """Where and when each chord that the message is in was published: here, or before the task that publishes it."""
    here = Chord(now, active if active.is_valid else None)
    if run is None or not run.claims.chords:
        return (here,) * len(message.chords)
    known = {key: chord for key, chord in zip(run.message.chords, run.claims.chords, strict=False) if key is not None}
    if message.shape is Shape.CHORD_BODY:
        here = run.claims.chords[0]  # a chord that is the body of a chord was published with it
    return tuple(here if key is None else known.get(key, here) for key in message.chords)


def _attempt(decision: Decision, run: Run, delayed: bool) -> dict[str, Any]:
    linked = decision.mode == "link"
    # Where the attempts do not share a trace there is no first one to belong to.
    apart = decision.mode != run.decision.mode or (linked and delayed)
    return {
        "previous": run.context,
        "first": None if apart else run.first,
        "first_published": run.claims.first_published or run.published,
        "origin": run.origin or (run.creation if linked and apart else None),
    }


def _body(run: Run, now: float, threshold: float | None) -> dict[str, Any]:
    if not run.claims.chords:
        return {"body": ROOT}
    published, context = run.claims.chords[0]
    if context is None:
        return {"body": ROOT}
    # Headers have different origins in the trace of their chord; the body goes by none of them but by the chord.
    elsewhere = run.origin is not None and run.origin.trace_id != context.trace_id
    late = beyond(now - published, threshold)
    return {"body": ROOT if late else context, "origin": run.origin if elsewhere else context}
