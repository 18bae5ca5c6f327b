"""The start of a worker: where a configuration that is wrong stops it, and a pool of processes gets its board."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import billiard
from celery import Celery, bootsteps

from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._worker.attempt_board import VARIABLE, AttemptBoard, has_processes


def install(worker: Any, telemetry: Telemetry, board: AttemptBoard, check: Callable[[Celery], object]) -> None:
    """Have ``worker`` check its configuration while it starts, and share ``board`` with the processes of its pool.

    ``check`` raises ConfigError.

    Done by a bootstep, because Celery swallows what a receiver of its signals raises.
    """

    class CheckConfiguration(bootsteps.Step):  # type: ignore[misc, unused-ignore]
        """Raises ConfigError before the worker takes any task."""

        def __init__(self, parent: Any, **_: Any) -> None:
            parent.app.finalize()
            check(parent.app)
            telemetry.settle(parent.app)
            # A producer has no need of it.
            importlib.import_module("celery_otel_links._worker.inspection").add_probe(parent.app)
            importlib.import_module("celery_otel_links._worker.held")
            os.environ.pop(VARIABLE, None)  # of a worker whose task has started this one
            if has_processes(parent.pool_cls):
                # The first export over HTTP imports it in a thread: a process that is forked meanwhile would inherit
                # the lock of that import, which nobody there gives back, and never export anything.
                importlib.import_module("netrc")
                telemetry.metrics.only_count()
                board.share(forked=_forks(parent))

    worker.app.steps["worker"].add(CheckConfiguration)


def _forks(worker: Any) -> bool:
    """Whether the pool's processes inherit this one's memory: new interpreters do not (from Celery 5.7 on)."""
    configured = getattr(worker, "pool_start_method", "fork")
    return bool(configured == "fork" and getattr(billiard, "get_start_method", lambda: "fork")() == "fork")
