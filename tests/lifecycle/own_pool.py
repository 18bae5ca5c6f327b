"""A pool of somebody's own, made of Celery's prefork pool."""

from __future__ import annotations

from celery.concurrency.prefork import TaskPool


class OwnPool(TaskPool):
    """As the one that it is made of."""
