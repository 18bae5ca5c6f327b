"""The start of a worker: where a configuration that is wrong stops it, and metrics learn that children will come."""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from celery_otel_links._config.sources import check_tasks
from celery_otel_links._tracing.telemetry import Telemetry

PREFORK = "celery.concurrency.prefork"


def install(worker: Any, telemetry: Telemetry) -> None:
    """Have ``worker`` check its configuration while it starts.

    Done by a bootstep, because Celery swallows what a receiver of its signals raises.
    """

    class CheckConfiguration(bootsteps.Step):  # type: ignore[misc, unused-ignore]
        """Raises ConfigError before the worker takes any task."""

        def __init__(self, parent: Any, **_: Any) -> None:
            parent.app.finalize()
            telemetry.settled(parent.app)
            check_tasks(parent.app)
            if getattr(parent.pool_cls, "__module__", None) == PREFORK:
                telemetry.metrics.only_count()

    worker.app.steps["worker"].add(CheckConfiguration)
