"""Running, on one screen: the CONSUMER span is current from the task's start to its end, whatever comes between."""

from __future__ import annotations

import sys
import time
from typing import Any

from opentelemetry import context as otel
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from celery_otel_links._emit import attributes as _attributes
from celery_otel_links._emit.spans import finish, type_name
from celery_otel_links._errors import contained
from celery_otel_links._rules.outcome import outcome
from celery_otel_links._tracing.delivery import Run
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._wire import chord_store

_KEY = "_celery_otel_links_run"


def start(telemetry: Telemetry, task: Any, kwargs: Any) -> None:
    """``task_prerun``: start the CONSUMER span and make it current."""
    request = task.request
    run = Run(telemetry, task.app, task, task.name, request, kwargs, time.time())
    if run.plan.excluded or not is_instrumentation_enabled():
        run.token = otel.attach(run.carried)
        vars(request)[_KEY] = run
        return
    run.token = otel.attach(run.open(telemetry))
    vars(request)[_KEY] = run
    run.started = time.perf_counter()
    message, config, span = run.message, telemetry.config(task.app), run.span
    if instruments := telemetry.metrics.active():
        instruments.started(run.plan, run.latency(), run.context)
    if config.run_hook is not None and span is not None and span.is_recording():
        with contained("run_hook"):
            config.run_hook(span, request)
    if message.header_of is not None:
        chord_store.store(task.app, message.header_of, message.id, run.context, config.fan_in)


def end(telemetry: Telemetry, task: Any, retval: Any, state: str | None) -> bool:
    """``task_postrun``: the outcome, the end of the span, and the context as it was before.

    Returns whether nobody else has to make the span.
    """
    request = task.request
    run = run_of(request)
    if run is None:
        return False  # a signal that ends the process came before the span was there
    del vars(request)[_KEY]
    span = run.span
    try:
        if span is None:
            return True
        result = outcome(state, retval, sys.exc_info()[1], getattr(task, "throws", ()))
        if result.state == "TERMINATED" and _at_hard_limit(run, task, request):
            return False  # the process has a tenth of a second to live; its main process makes the span
        error_type = None
        try:
            if result.reason is not None:
                span.set_attribute(_attributes.RETRY_REASON, result.reason)
            if instruments := telemetry.metrics.active():
                error_type = None if result.error is None else type_name(result.error)
                seconds = time.perf_counter() - run.started
                worker = str(getattr(request, "hostname", None) or "")
                instruments.ended(run.plan, worker, seconds, result.state, error_type, run.context)
        finally:
            finish(span, state=result.state, error=result.error)
        return True
    finally:
        otel.detach(run.token)


def _at_hard_limit(run: Run, task: Any, request: Any) -> bool:
    limits = getattr(request, "timelimit", None) or (None,)
    limit = limits[0] or task.time_limit or task.app.conf.task_time_limit
    return limit is not None and time.perf_counter() - run.started > limit - 0.1


def run_of(request: Any) -> Run | None:
    """The run that ``request`` is having, if it is one that we have seen start."""
    run: Run | None = vars(request).get(_KEY)
    return run
