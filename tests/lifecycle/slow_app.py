"""The application of workers in which something takes its time: a receiver, a span processor, an exporter, a hook.

Every span is exported when it ends. How slow each of them is, in seconds, stands in the environment; or a folder: then
it says there that it was reached, and goes on when it may.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celery.signals import task_prerun, worker_ready
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

import celery_otel_links
from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings
from tests.lifecycle.limited_tasks import declare
from tests.lifecycle.tasks import open_app, take

settings = Settings.of_environment()
slow: dict[str, float | str] = json.loads(os.environ.get("OTEL_LINKS_TEST_LIFECYCLE", "{}"))


def pause(what: str) -> None:
    """As long as the test says."""
    how = slow.get(what, 0.0)
    if isinstance(how, str):
        (Path(how) / "reached").write_text(str(os.getpid()))
        until = time.monotonic() + 30
        while not (Path(how) / "go").exists() and time.monotonic() < until:
            take(0.01)
    else:
        take(how)


class SlowExporter(JsonLinesSpanExporter):
    """Waits for an answer when everything is written."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        pause("export")
        return result


class SlowProcessor(SpanProcessor):
    """Waits when a span starts, and when it ends."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        pause(f"on_start {span.kind.name}")

    def on_end(self, span: ReadableSpan) -> None:
        pause(f"on_end {span.kind.name}")


def run_hook(*_: Any) -> None:
    pause("run_hook")


@task_prerun.connect(weak=False)
def before_ours(**_: object) -> None:
    pause("receiver")


@worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))


app = open_app(settings.broker, settings.backend or "", settings.conf)
declare(app)
app.set_current()
app.set_default()
app.conf.otel_links = {**settings.otel_links, **({"run_hook": run_hook} if "run_hook" in slow else {})}
if "uninstrumented" not in slow:
    provider = TracerProvider()
    provider.add_span_processor(SlowProcessor())
    provider.add_span_processor(SimpleSpanProcessor(SlowExporter(settings.spans)))
    trace.set_tracer_provider(provider)
    celery_otel_links.setup(app)
