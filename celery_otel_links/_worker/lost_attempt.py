"""What the main process knows of an attempt that its own process can't report: it is gone, or the task never ran."""

from __future__ import annotations

from typing import Any, NamedTuple

from celery import Celery

from celery_otel_links._rules.facts import Request


class LostAttempt(NamedTuple):
    """An attempt as the main process knows it."""

    request: Request
    state: str
    app: Celery | None = None
    """None where Celery does not say it."""
    task: Any = None
    """None where it is not registered here, or not known."""
    name: str | None = None
    """Of the task, where the message does not say it."""
    error: BaseException | None = None
    start: float | None = None
    """In seconds since the epoch; None of a task that never ran: its span has no length."""
