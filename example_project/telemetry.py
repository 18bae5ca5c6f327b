"""OpenTelemetry for the shop's processes: spans and metrics go to OTEL_EXPORTER_OTLP_ENDPOINT by OTLP over HTTP.

Does nothing where that variable is not set, or where somebody (`opentelemetry-instrument`) has set up providers before.
The worker calls this before it forks; the SDK starts its exporting threads again in every child.
"""

import netrc  # noqa: F401  # the first export would import it: a child that is forked meanwhile waits for that forever
import os

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def configure() -> None:
    """Set the global providers up, once; OTEL_SERVICE_NAME and the other OTEL_ variables have their usual meaning."""
    already_configured = not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    if already_configured or "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ:
        return
    tracer_provider = TracerProvider()
    tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracer_provider)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
