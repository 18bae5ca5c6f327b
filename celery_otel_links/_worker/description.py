"""What a process says of itself when it is asked: plain values that go over the wire as JSON, and nothing secret."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from functools import partial
from typing import Any

import celery
from celery import Celery

from celery_otel_links._config.destinations import destinations, noted
from celery_otel_links._config.options import Config
from celery_otel_links._errors import failures
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._version import __version__
from celery_otel_links._wire import chord_store
from celery_otel_links._worker.trial import tried
from celery_otel_links._worker.zero_code import zero_code


def describe(app: Celery, telemetry: Telemetry | None, *, trying: bool) -> dict[str, Any]:
    """This process by now. With ``trying``, one span is exported by each exporter, to see them work.

    Without ``telemetry`` the library is not active here. ``unknown`` says what can't be described.
    """
    if telemetry is None:
        return {"active": False, **zero_code()}
    config = telemetry.settle(app)[0]
    tracers = telemetry.spans.provider()
    found = destinations(tracers, telemetry.metrics.provider())
    unknown = list(found.unknown)
    fan_in = noted(unknown, "fan-in", partial(_fan_in, app, config))
    described = {
        "active": True,
        "version": __version__,
        "celery": celery.__version__,
        "process": os.getpid(),
        "time": time.time(),
        "configuration": {one.name: _plain(getattr(config, one.name)) for one in fields(Config)},
        "spans": found.spans,
        "processors": found.processors,
        "sampler": found.sampler,
        "by_chance": found.by_chance,
        "metrics": found.metrics,
        "scraped": found.scraped,
        "grpc": any("grpc" in type(one).__module__ for one in found.exporters.values()),
        "failures": failures.counts(),
        "contrib": _contrib_is_on(),
        "links_taken_over": telemetry.links_taken_over,
        **zero_code(),
        "fan_in": fan_in,
        "unknown": unknown,
    }
    if trying:
        described["export"] = tried(found.exporters, getattr(tracers, "resource", None))
    return described


def _fan_in(app: Celery, config: Config) -> bool | None:
    """Whether there is any; None where there are no chords."""
    with suppress(NotImplementedError):
        app.backend.ensure_chords_allowed()
        return chord_store.is_possible(app, config.fan_in)
    return None


def _contrib_is_on() -> bool:
    module = sys.modules.get("opentelemetry.instrumentation.celery")
    kind: Callable[[], Any] | None = getattr(module, "CeleryInstrumentor", None)
    return bool(kind and kind().is_instrumented_by_opentelemetry)


def _plain(value: Any) -> Any:
    """A value of the configuration as JSON has it; of a hook the name."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list, set, frozenset)):
        return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else [str(one) for one in value]
    return dict(value.rules) if hasattr(value, "rules") else getattr(value, "__qualname__", type(value).__name__)
