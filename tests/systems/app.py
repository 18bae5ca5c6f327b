"""The application of these tests, in workers, in beat and in publishing processes, with others beside us."""

from __future__ import annotations

import json
import os
from pathlib import Path

from celery.signals import beat_init, worker_ready
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import celery_otel_links
from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings
from tests.systems import neighbours
from tests.systems.tasks import open_store

settings = Settings.of_environment()
beside = json.loads(os.environ.get("OTEL_LINKS_TEST_BESIDE", "[]"))
app = open_store(settings.broker, settings.backend, settings.conf)
app.set_current()
app.set_default()
app.conf.otel_links = dict(settings.otel_links)


@worker_ready.connect(weak=False)
@beat_init.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))


for name in beside:
    neighbours.ALL[name]()
if "logfire" not in beside:  # which brings providers of its own
    provider = TracerProvider(resource=Resource.create({"service.name": "store"}))
    provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(settings.spans)))
    trace.set_tracer_provider(provider)
celery_otel_links.setup(app)
