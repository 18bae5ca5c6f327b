"""Celery's own ``shared_task``, of which a type checker sees here that it takes ``otel_propagation``.

The stubs of Celery (``celery-types``) know no keyword of ours; ``app.task`` of theirs takes any.
"""

from celery import shared_task

__all__ = ["shared_task"]
