"""An application that is not the example, as its user writes it: a Celery app, and a web process that publishes."""

from __future__ import annotations

import os
import sys
import time
from wsgiref.simple_server import make_server

from celery import Celery
from celery.signals import worker_ready
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import celery_otel_links

if "OTEL_EXPORTER_OTLP_ENDPOINT" in os.environ:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

app = Celery("library")
app.conf.task_default_queue = "viewer-other"
celery_otel_links.setup(app)


@app.task(name="library.lend", otel_propagation="link")
def lend(book: str) -> float:
    """Lend a book; when that ended."""
    return time.time()


@worker_ready.connect
def _ready(**_: object) -> None:
    print("worker is ready", flush=True)


def web(environ: dict[str, str], start_response: object) -> list[bytes]:
    """`GET /`: publish one task."""
    with trace.get_tracer("web").start_as_current_span("GET /lend", kind=trace.SpanKind.SERVER):
        lend.delay("Celery, a cook's guide")
    start_response("200 OK", [])  # type: ignore[operator]
    return [b"ok"]


if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), web) as server:
        print("web is ready", flush=True)
        server.serve_forever()
