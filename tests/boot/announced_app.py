"""A worker's application whose providers a test chooses."""

from __future__ import annotations

import json
import os
from pathlib import Path

from celery.signals import worker_process_init, worker_ready
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

import celery_otel_links
from celery_otel_links.sampling import LinkedSampler
from tests.acceptance.shop import open_shop
from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings

VARIABLE = "OTEL_LINKS_TEST_PROVIDERS"
SAMPLERS: dict[str, Sampler] = {
    "ratio": ParentBased(TraceIdRatioBased(0.25)),
    "all by ratio": ParentBased(TraceIdRatioBased(1)),
    "linked": LinkedSampler(TraceIdRatioBased(0.25)),
}
settings = Settings.of_environment()
told = json.loads(os.environ[VARIABLE])


def make_provider(**_: object) -> None:
    provider = TracerProvider(sampler=SAMPLERS.get(told.get("sampler", "")))
    if told["spans"] != "no processor":
        provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(settings.spans)))
    trace.set_tracer_provider(provider)


if told["spans"] == "in the pool":
    worker_process_init.connect(make_provider, weak=False)
elif told["spans"] != "nowhere":
    make_provider()
if told.get("prometheus"):
    from opentelemetry.exporter.prometheus import PrometheusMetricReader

    metrics.set_meter_provider(MeterProvider([PrometheusMetricReader()]))
app = celery_otel_links.setup(open_shop(settings.broker, settings.backend, settings.conf), config=settings.otel_links)
app.set_default()


@worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))
