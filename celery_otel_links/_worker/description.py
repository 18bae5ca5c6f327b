"""What a process says of itself when it is asked: plain values that go over the wire as JSON, and nothing secret."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import celery
from celery import Celery
from opentelemetry.instrumentation.utils import suppress_instrumentation

from celery_otel_links._config.destinations import destinations
from celery_otel_links._config.options import Config
from celery_otel_links._declared.names import DOCTOR, SCOPE
from celery_otel_links._errors import failures
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._version import __version__
from celery_otel_links._wire import chord_store

PROBE = "celery_otel_links.probe"
"""The name of the task with which `otel-links doctor` asks the processes that run tasks."""
EXPORT_TIMEOUT = 3.0
"""Seconds that an exporter has to answer."""


def describe(app: Celery, telemetry: Telemetry, *, trying: bool) -> dict[str, Any]:
    """This process by now. With ``trying``, one span is exported and the store of chords is used, to see them work."""
    config = telemetry.settled(app)[0]
    found = destinations(telemetry.spans.provider(), telemetry.metrics.provider())
    exporters = list(_exporters(telemetry.spans.provider()))
    described = {
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
        "grpc": any("grpc" in type(one).__module__ for one in exporters),
        "failures": failures.counts(),
        "contrib": _contrib_is_on(),
        "links_taken_over": telemetry.links_taken_over,
        "auto": "opentelemetry.instrumentation.auto_instrumentation" in sys.modules,
        "distro": _has("opentelemetry_distro"),
        "fan_in": chord_store.is_possible(app, config.fan_in),
    }
    if trying:
        described["export"] = {type(one).__name__: tried(one) for one in exporters}
        described["fan_in_seconds"] = _fan_in_seconds(app, config) if described["fan_in"] else None
    return described


def tried(exporter: Any) -> str | None:
    """Whether ``exporter`` takes a span: None, or what is wrong in one sentence."""
    from opentelemetry.sdk.trace import TracerProvider  # where there is an exporter there is the SDK
    from opentelemetry.sdk.trace.export import SpanExportResult

    with TracerProvider().get_tracer(SCOPE).start_as_current_span(DOCTOR) as span:
        pass
    answer: list[str | None] = []
    said: list[str] = []

    def export() -> None:
        try:
            with _listening(said), suppress_instrumentation():
                result = exporter.export((span,))
            answer.append(None if result is SpanExportResult.SUCCESS else said[-1] if said else "it says no more")
        except Exception as error:
            answer.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=export, daemon=True)
    thread.start()
    thread.join(EXPORT_TIMEOUT)
    return answer[0] if answer else f"no answer within {EXPORT_TIMEOUT:g} s{': ' * bool(said)}{''.join(said[-1:])}"


@contextmanager
def _listening(said: list[str]) -> Iterator[None]:
    """Note what OpenTelemetry's exporters log meanwhile: only there do they say why they have failed."""

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage().splitlines()[0][:300])

    handler, logger = Listening(logging.WARNING), logging.getLogger("opentelemetry.exporter")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _exporters(tracers: Any) -> Iterator[Any]:
    """The exporters of a provider, as far as it lets them be seen."""
    for holder in getattr(getattr(tracers, "_active_span_processor", None), "_span_processors", None) or ():
        batch = getattr(holder, "_batch_processor", holder)  # from 1.34 on
        exporter = getattr(batch, "span_exporter", None) or getattr(batch, "_exporter", None)
        if exporter is not None:
            yield exporter


def _fan_in_seconds(app: Celery, config: Config) -> float:
    begun = time.monotonic()
    chord_store.gather(app, "otel-links-doctor", ["otel-links-doctor"], config.fan_in)
    return time.monotonic() - begun


def _contrib_is_on() -> bool:
    module = sys.modules.get("opentelemetry.instrumentation.celery")
    kind: Callable[[], Any] | None = getattr(module, "CeleryInstrumentor", None)
    return bool(kind and kind().is_instrumented_by_opentelemetry)


def _has(group: str) -> bool:
    """Whether a package offers something in this group of entry points."""
    return bool(importlib.metadata.entry_points(group=group))


def _plain(value: Any) -> Any:
    """A value of the configuration as JSON has it; of a hook the name."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (tuple, list, set, frozenset)):
        return sorted(map(str, value)) if isinstance(value, (set, frozenset)) else [str(one) for one in value]
    return dict(value.rules) if hasattr(value, "rules") else getattr(value, "__qualname__", type(value).__name__)
