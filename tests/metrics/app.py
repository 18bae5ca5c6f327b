"""The application whose workers are measured: the shop, with a meter provider that is made before they fork."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from celery import Task, signals
from celery.exceptions import Reject
from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import NoOpTracerProvider
from opentelemetry.trace import TracerProvider as AnyTracerProvider

import celery_otel_links
from celery_otel_links._declared.names import HISTOGRAMS
from tests.acceptance.shop import Unavailable, open_shop
from tests.harness.metering import JsonLinesMetricExporter
from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings
from tests.metrics.told import FINE, LATENCIES, VARIABLE

settings = Settings.of_environment()
told: dict[str, Any] = json.loads(os.environ[VARIABLE])
app = open_shop(settings.broker, settings.backend, settings.conf)
app.set_current()
app.set_default()
app.conf.otel_links = {"contrib_names": True, "histograms": list(HISTOGRAMS), **settings.otel_links}


@app.task(shared=False, name="metrics.backoff", bind=True, autoretry_for=(Unavailable,), retry_backoff=1)
def backoff(self: Task) -> None:
    if not self.request.retries:
        raise Unavailable("later")


@app.task(shared=False, name="metrics.returned", bind=True, acks_late=True)
def returned(self: Task) -> None:
    """Gives its message back to the broker once."""
    if not self.request.delivery_info.get("redelivered"):
        raise Reject("again", requeue=True)


def _readers() -> Iterator[MetricReader]:
    every = told.get("every", 150)
    if "file" in told:
        yield PeriodicExportingMetricReader(JsonLinesMetricExporter(told["file"]), export_interval_millis=every)
    if "otlp" in told:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        yield PeriodicExportingMetricReader(OTLPMetricExporter(told["otlp"]), export_interval_millis=every)
    if "prometheus" in told:
        import prometheus_client
        from opentelemetry.exporter.prometheus import PrometheusMetricReader

        prometheus_client.start_http_server(told["prometheus"], "127.0.0.1")
        yield PrometheusMetricReader()


def _views() -> Iterator[View]:
    for name in LATENCIES if told.get("fine") else ():
        yield View(instrument_name=name)
        aggregation = ExplicitBucketHistogramAggregation(FINE)
        yield View(instrument_name=name, name=f"fine.{name}", aggregation=aggregation)


def _tracers() -> AnyTracerProvider:
    if told.get("untraced"):
        return NoOpTracerProvider()
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(settings.spans)))
    return made


def _failing_hook(*_: Any) -> None:
    raise RuntimeError("a hook that fails")


if told.get("hook") == "fails":
    app.conf.otel_links = {**app.conf.otel_links, "run_hook": _failing_hook}
readers = list(_readers())
meters: AnyMeterProvider = MeterProvider(readers, views=list(_views())) if readers else NoOpMeterProvider()
celery_otel_links.setup(app, tracer_provider=_tracers(), meter_provider=meters)


def _note(event: str, task_id: str) -> None:
    """The stopwatch of a test that trusts nobody."""
    line = json.dumps([event, task_id, time.time(), os.getpid()])
    descriptor = os.open(told["stopwatch"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)


if "stopwatch" in told:
    signals.task_received.connect(lambda request, **_: _note("received", request.id), weak=False)
    signals.task_prerun.connect(lambda task_id, **_: _note("started", task_id), weak=False)


@signals.worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))
