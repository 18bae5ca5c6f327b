"""Beat: what a tick publishes is a root, and says which entry of the schedule it is for and how late it is.

Every scheduler (Celery's own, django-celery-beat's, redbeat's) sends an entry that is due by its ``apply_async``, and
the entry still has the time of the run before: the schedule says when the next one was due.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from celery.utils.time import maybe_make_aware
from opentelemetry.context import Context

from celery_otel_links._errors import contained
from celery_otel_links._rules.texts import printable
from celery_otel_links._tracing.under_way import Asked, as_of


@contextmanager
def tick(_scheduler: Any, entry: Any, *_: Any, **__: Any) -> Iterator[None]:
    """Around a scheduler's ``apply_async``, with the same arguments: nothing that is current is anybody's parent."""
    with as_of(Context(), asked_by(entry)):
        yield


def asked_by(entry: Any) -> Asked:
    """What is known of an entry that is sent now."""
    name = printable(str(getattr(entry, "name", None) or "unknown"))
    with contained("the drift of an entry of beat"):
        return Asked(entry=name, drift=_drift(entry))
    return Asked(entry=name)


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
