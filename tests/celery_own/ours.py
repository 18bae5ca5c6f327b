"""A pytest plugin: everything that Celery's own tests do is traced and measured, in this process and its workers."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from celery_otel_links import CeleryLinksInstrumentor


def pytest_configure() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    trace.set_tracer_provider(provider)
    CeleryLinksInstrumentor().instrument(tracer_provider=provider)
