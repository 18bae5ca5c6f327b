"""Batches whose process is gone, or was stopped at a time limit: celery-batches asks the pool for no failure."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery_otel_links._errors import contained
from celery_otel_links._rules.request import PACKAGE

Lost = Callable[[Any, Any, float, int, Any], None]
"""Gets the task, the arguments of its run, when that began, the process, and the pool's failure."""


def watch(pool: Any, lost: Lost) -> None:
    """Have ``lost`` called for every batch given to ``pool`` that its process did not end."""
    apply_async = pool.apply_async

    def call(target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        if str(getattr(target, "__module__", "")).startswith(PACKAGE):
            options.update(_callbacks(args, options.get("accept_callback"), lost))
        return apply_async(target, args, kwargs, **options)

    pool.apply_async = call


def _callbacks(args: Any, accepted: Callable[[int, float], None] | None, lost: Lost) -> dict[str, Any]:
    pid, start = 0, 0.0

    def on_accepted(by: int, monotonic: float) -> None:
        nonlocal pid, start
        pid, start = by, time.time() - (time.monotonic() - monotonic)
        if accepted is not None:
            accepted(by, monotonic)

    def on_failure(failure: Any) -> None:
        if pid:
            with contained("reporting a lost batch"):
                lost(args[0], args[1], start, pid, failure)

    return {"accept_callback": on_accepted, "error_callback": on_failure}
