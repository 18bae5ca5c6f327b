"""The application that the doctor looks at: how it is set up, in a worker and a producer, stands in the environment."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from celery import Celery, current_app, signals
from opentelemetry import metrics, trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

import celery_otel_links
from celery_otel_links.sampling import LinkedSampler
from tests.harness.workers import Settings

told: dict[str, Any] = json.loads(os.environ["OTEL_LINKS_TEST_DOCTOR"])
if told.get("report imports"):

    class Report(MetaPathFinder):
        """Finds nothing."""

        def find_spec(self, name: str, *_: object) -> None:
            if threading.current_thread() is not threading.main_thread():
                print("imported in a thread:", name, file=sys.stderr)

    sys.meta_path.insert(0, Report())
app = Celery("doctored", broker=told["broker"], backend=told["backend"])
app.conf.update(
    task_default_queue=told["queue"],
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
    **told.get("conf", {}),
)
app.conf.otel_links = told.get("otel_links", {})


def processors() -> Iterator[SpanProcessor]:
    if told.get("exporter") == "hidden":
        from tests.operated.undescribed import Hiding

        yield Hiding()
    else:
        yield from map(BatchSpanProcessor, exporters())


def exporters() -> Iterator[SpanExporter]:
    if told.get("exporter") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Exporter

        yield Exporter(told["grpc"], insecure=True)
    elif told.get("exporter") == "console":
        yield ConsoleSpanExporter()
    elif told.get("exporter") == "undescribed":
        from tests.operated.undescribed import Placeless

        yield Placeless()
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        for endpoint in [told["endpoint"], *told.get("more endpoints", ())]:
            yield OTLPSpanExporter(endpoint)


def provide(**_: object) -> None:
    ratio = TraceIdRatioBased(0.1)
    sampler: Any = {None: None, "ratio": ratio, "linked": LinkedSampler(ratio)}.get(told.get("sampler"))
    if told.get("sampler") == "undescribed":
        from tests.operated.undescribed import Nameless

        sampler = Nameless()
    provider = TracerProvider(sampler=sampler)
    for processor in processors():
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)


if told.get("contrib"):
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    CeleryInstrumentor().instrument(use_span_links=True, skip_dep_check=True)
when = told.get("provider", "here")
if when == "here":
    provide()
elif when == "children":
    signals.worker_process_init.connect(provide, weak=False)
if told.get("prometheus"):
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider

    metrics.set_meter_provider(MeterProvider([PrometheusMetricReader()]))
if told.get("setup", True) == "without an app":  # as opentelemetry-instrument does
    celery_otel_links.CeleryLinksInstrumentor().instrument()
elif told.get("setup", True):
    celery_otel_links.setup(app)
if "release" in told:  # there is no other one that has this command
    from celery_otel_links._worker import description

    description.__version__ = told["release"]
if "ahead" in told:  # a clock of this machine's own can't be moved
    from celery_otel_links._worker import description

    class Clock:
        monotonic = staticmethod(description.time.monotonic)
        time = staticmethod(lambda now=description.time.time: now() + told["ahead"])

    description.time = Clock  # type: ignore[assignment]


@app.task(name="doctored.work")
def work() -> None:
    pass


@app.task(name="celeryfoo.work")
def work_of_an_app_with_such_a_name() -> None:
    pass


@app.task(name="doctored.endless")
def endless() -> None:
    threading.Event().wait()


@app.task(name="doctored.app")
def name_of_current_app() -> str | None:
    return current_app.main


if told.get("more tasks"):

    @app.task(name="doctored.unknown_elsewhere")
    def unknown_elsewhere() -> None:
        pass


app.set_current()
app.set_default()


@signals.worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(Settings.of_environment().ready).write_text(str(os.getpid()))
