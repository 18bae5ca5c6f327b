"""The application of workers in which something takes its time: a receiver, a span processor, an exporter, a hook.

Every span is exported when it ends. How slow each of them is, in seconds, stands in the environment.
"""

from __future__ import annotations

import json
import os
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
slow: dict[str, float] = json.loads(os.environ.get("OTEL_LINKS_TEST_LIFECYCLE", "{}"))


class SlowExporter(JsonLinesSpanExporter):
    """Waits for an answer when everything is written."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        take(slow.get("export", 0.0))
        return result


class SlowProcessor(SpanProcessor):
    """Waits when a span starts, and when it ends."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        take(slow.get(f"on_start {span.kind.name}", 0.0))

    def on_end(self, span: ReadableSpan) -> None:
        take(slow.get(f"on_end {span.kind.name}", 0.0))


def run_hook(*_: Any) -> None:
    take(slow.get("run_hook", 0.0))


@task_prerun.connect(weak=False)
def before_ours(**_: object) -> None:
    take(slow.get("receiver", 0.0))


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
