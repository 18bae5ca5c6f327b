"""Whether the broker answers at all, before anything else is asked."""

from __future__ import annotations

from celery import Celery
from kombu import Connection

from celery_otel_links._errors import in_words
from celery_otel_links._worker.questions import trouble

CONNECTING = 3
"""Seconds that the broker has to answer, and the result backend."""


def unreachable(app: Celery) -> str | None:
    """Why the broker can't be reached; None if it can."""
    try:
        connection = app.connection_for_write(connect_timeout=CONNECTING)
        _ = connection.transport  # which imports its driver, here and not in a thread
    except Exception as error:
        return in_words(error)
    return trouble(CONNECTING, lambda: _connect(connection))


def _connect(connection: Connection) -> None:
    with connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=CONNECTING)
