"""An application whose chords never come to their bodies: a header task fails, or never ends."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from celery import Celery, chord, signals
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import celery_otel_links
from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings

settings = Settings.of_environment()
app = Celery("chords", broker=settings.broker, backend=settings.backend)
app.conf.update(settings.conf, broker_connection_retry_on_startup=True)
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(settings.spans)))
celery_otel_links.setup(app, tracer_provider=provider)


@app.task(name="chords.count")
def count(till: int) -> int:
    return till


@app.task(name="chords.broken")
def broken(till: int) -> None:
    raise ValueError(f"till {till} is locked")


@app.task(name="chords.endless")
def endless(till: int) -> None:
    threading.Event().wait()


@app.task(name="chords.sum")
def add(tills: list[int]) -> int:
    return sum(tills)


@app.task(name="chords.close")
def close(third: str) -> str:
    """Publish a chord whose third header task is this one. Returns the id of its body."""
    return str(chord([count.s(1), count.s(2), app.tasks[third].s(3)])(add.s()).id)


@signals.worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))
