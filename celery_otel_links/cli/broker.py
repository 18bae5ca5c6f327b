"""Whether the broker answers at all, before anything else is asked."""

from __future__ import annotations

from celery import Celery

CONNECTING = 3
"""Seconds that the broker has to answer."""


def unreachable(app: Celery) -> str | None:
    """Why the broker can't be reached; None if it can."""
    try:
        with app.connection_for_write(connect_timeout=CONNECTING) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=CONNECTING)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
