"""How long a message waited: pure arithmetic on times in seconds since the epoch.

The due time is when the message could have started at the earliest: ``max(published, eta)``. Two sums always hold:
``enqueue_to_start = scheduled + queue``, where a missing one is 0, and ``queue = broker + prefetch``. Nothing is ever
negative.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import NamedTuple


class Latency(NamedTuple):
    """The waiting of one delivery, in seconds; None where it can't be known."""

    enqueue_to_start: float | None = None
    """From publishing to start: all of it."""
    scheduled: float | None = None
    """Asked for by eta or countdown; None where nothing was."""
    queue: float | None = None
    """Not asked for; the number to alert on."""
    broker: float | None = None
    """The part of ``queue`` that the message spent in the broker."""
    prefetch: float | None = None
    """The part of ``queue`` that it spent in the worker, waiting for a free process."""
    since_first_enqueue: float | None = None
    """Of a retry: from publishing the first attempt to this start."""
    handover: float | None = None
    """From capturing the context that the message was published with to publishing it."""
    clock_skew: bool = False
    """The clocks of two machines disagree so far that a value had to be clamped."""


def measure(
    start: float,
    published: float | None = None,
    eta: float | None = None,
    received: float | None = None,
    first_published: float | None = None,
    captured: float | None = None,
) -> Latency:
    """The latencies of a run that started at ``start``.

    ``published``, ``first_published`` and ``captured`` were read from the publisher's clock, ``received`` and ``start``
    from the worker's. A start slightly before ``eta`` is no skew: Celery's timer fires early by up to a second.
    """
    skewed = received is not None and received > start
    arrived = start if skewed else received
    if published is None:
        # Published without our header: only the worker's own part is known.
        waited_from = None if arrived is None else max(arrived, min(eta, start) if eta is not None else arrived)
        return Latency(prefetch=None if waited_from is None else start - waited_from, clock_skew=skewed)
    earliest = start if arrived is None else arrived
    skewed = skewed or published > earliest or (first_published is not None and first_published > start)
    begun = published if published < start else start
    due = begun if eta is None else min(max(begun, eta), start)
    queue = start - due
    broker = prefetch = None
    if arrived is not None:
        broker = arrived - due if arrived > due else 0.0
        prefetch = queue - broker
    scheduled = None if eta is None else due - begun
    since_first = None if first_published is None else max(0.0, start - first_published)
    handover = None if captured is None else max(0.0, published - captured)
    return Latency(start - begun, scheduled, queue, broker, prefetch, since_first, handover, skewed)


def plainly_measured(start: float, published: float, received: object) -> Latency | None:
    """What :func:`measure` gives of these three times alone; None unless they follow each other."""
    if not isinstance(received, float) or not 0 < published <= received <= start:
        return None
    whole, broker = start - published, received - published
    return Latency(whole, None, whole, broker, whole - broker)


def epoch(eta: object) -> float | None:
    """An eta in seconds since the epoch. It is ISO 8601 text on the wire.

    Without an offset it is UTC: so workers take it, whatever ``timezone`` and ``enable_utc`` are.
    """
    if not isinstance(eta, str):
        return None
    try:
        moment = datetime.fromisoformat(eta.replace("Z", "+00:00"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        seconds = moment.timestamp()
    except Exception:  # what stands on the wire never raises
        return None
    return seconds if math.isfinite(seconds) else None
