"""`celery -A shop otel-links …`: the group of commands that Celery finds by the entry point `celery.commands`.

Every start of `celery` imports this, a worker's too: a command imports what it needs when it is called. With it comes
what `celery inspect otel_links` has to know.
"""

from __future__ import annotations

import click

from celery_otel_links._worker import held, inspection
from celery_otel_links.cli.lazily import Commands

__all__ = ["held", "inspection", "otel_links"]


@click.group(name="otel-links", cls=Commands)
def otel_links() -> None:
    """See and check what celery-otel-links does."""
