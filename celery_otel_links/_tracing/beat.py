"""Beat: what a tick publishes is a root, and says which entry of the schedule it is for and how late it is.

Every scheduler (Celery's own, django-celery-beat's, redbeat's) sends an entry that is due by its ``apply_async``, and
the entry still has the time of the run before: the schedule says when the next one was due.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any, NamedTuple

from celery.utils.time import maybe_make_aware
from opentelemetry import context as otel
from opentelemetry.context import Context

from celery_otel_links._emit.names import BEAT_DRIFT, BEAT_ENTRY
from celery_otel_links._errors import contained


class Tick(NamedTuple):
    """An entry of beat's schedule that is being sent."""

    entry: str
    drift: float | None = None
    """Seconds since it was due; None where the schedule does not say when that was."""

    @property
    def attributes(self) -> dict[str, Any]:
        """What the PRODUCER span says of it."""
        return {BEAT_ENTRY: self.entry} if self.drift is None else {BEAT_ENTRY: self.entry, BEAT_DRIFT: self.drift}


ticking: ContextVar[Tick | None] = ContextVar("celery_otel_links_ticking", default=None)
"""The tick within which beat publishes here, if it does."""


@contextmanager
def tick(_scheduler: Any, entry: Any, *_: Any, **__: Any) -> Iterator[None]:
    """Around a scheduler's ``apply_async``, with the same arguments: nothing that is current is anybody's parent."""
    token, outer = otel.attach(Context()), ticking.set(tick_of(entry))
    try:
        yield
    finally:
        ticking.reset(outer)
        otel.detach(token)


def tick_of(entry: Any) -> Tick:
    """What is known of an entry that is sent now."""
    name = str(getattr(entry, "name", None) or "unknown")
    with contained("the drift of an entry of beat"):
        return Tick(name, _drift(entry))
    return Tick(name)


def _drift(entry: Any) -> float:
    """How many seconds ago ``entry`` was due."""
    schedule, last = entry.schedule, entry.last_run_at
    if last is None:
        return 0.0  # redbeat's entries that never ran are due at once
    # A crontab counts from the fields of this time, so it has to stand in the zone of the schedule.
    drift = -float(schedule.remaining_estimate(maybe_make_aware(last).astimezone(schedule.tz)).total_seconds())
    first = getattr(getattr(entry, "model", None), "start_time", None)
    if first is not None:  # django-celery-beat has it due for decades until then
        drift = min(drift, (datetime.now(timezone.utc) - maybe_make_aware(first)).total_seconds())
    return max(0.0, drift)
