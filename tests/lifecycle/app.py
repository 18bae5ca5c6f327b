"""The application of the lifecycle tests' workers: only a flush exports its spans; the provider is made when told."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from celery.signals import task_postrun, task_prerun, worker_process_init, worker_ready
from opentelemetry import _logs, context, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

import celery_otel_links
from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings
from tests.lifecycle.metering import JsonLinesMetricExporter
from tests.lifecycle.tasks import open_app

NEVER = 3_600_000
settings = Settings.of_environment()
told = json.loads(os.environ.get("OTEL_LINKS_TEST_LIFECYCLE", "{}"))
app = open_app(settings.broker, settings.backend or "", settings.conf)
app.set_current()
app.set_default()
app.conf.otel_links = dict(settings.otel_links)


def provide(**_: object) -> None:
    """Set the global providers, as an application does that follows OpenTelemetry's own documentation."""
    resource = Resource.create({"service.name": "worker"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(_exporter(), schedule_delay_millis=NEVER, max_queue_size=8192))
    trace.set_tracer_provider(provider)
    if "metrics" in told:
        reader = PeriodicExportingMetricReader(JsonLinesMetricExporter(told["metrics"]), NEVER)
        metrics.set_meter_provider(MeterProvider([reader], resource=resource))
    if "logs" in told:
        logs = LoggerProvider(resource)
        kind = getattr(log_export, "ConsoleLogRecordExporter", None) or log_export.ConsoleLogExporter
        exporter = kind(open(told["logs"], "a"), lambda record: "a record\n")  # noqa: SIM115
        logs.add_log_record_processor(log_export.BatchLogRecordProcessor(exporter, NEVER))
        _logs.set_logger_provider(logs)
        logging.getLogger("end").addHandler(LoggingHandler(logger_provider=logs))


def _exporter() -> SpanExporter:
    if "endpoint" not in told:
        return JsonLinesSpanExporter(settings.spans)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(told["endpoint"])


@worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))


def watch_contexts(before: bool) -> None:
    """Write down whether tasks leave the context as it was: the first receiver at a start, the last at an end."""
    if "contexts" not in told:
        return
    if before:

        @task_prerun.connect(weak=False)
        def remember(task_id: str, **_: object) -> None:
            seen[task_id] = context.get_current()

    else:

        @task_postrun.connect(weak=False)
        def compare(task: Any, task_id: str, **_: object) -> None:
            same = context.get_current() == seen.pop(task_id)
            with open(told["contexts"], "a") as file:
                file.write(f"{task.name} {'as before' if same else 'left something attached'}\n")


seen: dict[str, context.Context] = {}
when = told.get("provider", "before fork")
watch_contexts(before=True)
if when == "before fork":
    provide()
elif when == "after fork, receiver first":
    worker_process_init.connect(provide, weak=False)
celery_otel_links.setup(app)
if when == "after fork, receiver last":
    worker_process_init.connect(provide, weak=False)
watch_contexts(before=False)
