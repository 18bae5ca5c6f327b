"""What the workers of `worker.py` load: a task that does nothing, instrumented as the environment says.

Spans and metrics go the way that they go in production, through a BatchSpanProcessor and a periodic reader, and end
where the network would begin: encoded.
"""

import os

import redis
from celery import Celery
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from variants import CONNECT

DONE = "bench.done"
"""The list that every flush adds one to."""

app = Celery("worker_app", broker=os.environ.get("BENCH_BROKER", "memory://"))
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)


class EncodedSpans(SpanExporter):
    def export(self, spans):
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


class EncodedMetrics(MetricExporter):
    def export(self, metrics_data, timeout_millis=10_000, **kwargs):
        encode_metrics(metrics_data).SerializeToString()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **kwargs):
        pass


exporting: list[TracerProvider | MeterProvider] = []
instrumentation = os.environ.get("BENCH_INSTRUMENTATION", "none")
if instrumentation != "none":
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(EncodedSpans()))
    meters = MeterProvider([PeriodicExportingMetricReader(EncodedMetrics())])
    CONNECT[instrumentation](tracers, meters)
    exporting += [tracers, meters]


@app.task(name="bench.noop")
def noop(x, y):
    return x


@app.task(name="bench.flush")
def flush():
    """Exports what the tasks before have left to be exported, and says so."""
    for provider in exporting:
        provider.force_flush()
    with redis.Redis.from_url(app.conf.broker_url) as server:
        server.rpush(DONE, 1)
