"""What is not declared is emitted here, in this process and by a worker, with a mark and without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from celery_otel_links._declared.names import SCOPE
from celery_otel_links.testing import captured_spans
from tests.docs.terminals import terminals
from tests.harness.collector import collector
from tests.harness.waiting import until
from tests.unit.shop import Shop

SPANS = f"""
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter("http://127.0.0.1:4318/v1/traces")))
provider.get_tracer("{SCOPE}").start_span("run/shop.add").end()
"""


def test_of_an_attribute_in_this_process():
    shop = Shop(publish_hook=lambda span, message: span.set_attribute("shop.tenant", "acme"))
    shop.publish("shop.add")
    shop.close()


@pytest.mark.emits("shop.tenant")
def test_of_an_attribute_that_it_names():
    test_of_an_attribute_in_this_process()


@pytest.mark.emits("shop.basket")
def test_of_nothing_where_it_names_an_attribute():
    with captured_spans() as captured, captured.tracer.start_as_current_span("request"):
        pass


def test_of_a_run_of_a_prefork_worker(metered_on):
    metered = metered_on()
    metered.story.run(metered.shop.labelled.s(), "request\n  apply_async/shop.labelled\n    run/shop.labelled")


def test_of_a_metric_of_a_prefork_worker(metered_on):
    metered = metered_on({"fine": True})
    with metered.story.request():
        metered.shop.plain.delay()
    metered.count("celery.task.latency.queue", 1)


def test_of_a_metric_in_this_process():
    reader = InMemoryMetricReader()
    MeterProvider([reader]).get_meter(SCOPE).create_counter("celery.task.outcomes", "{task}").add(1, {"shop.tenant": 1})
    reader.get_metrics_data()


def test_of_a_log_event():
    from opentelemetry._logs import LogRecord

    LoggerProvider().get_logger(SCOPE).emit(LogRecord(attributes={"event.name": "celery.task.ended"}))


def test_of_a_span_that_a_collector_gets(tmp_path: Path):
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    span = TracerProvider().get_tracer(SCOPE).start_span("run/shop.add")  # it never ends here
    with collector(tmp_path / "spans") as endpoint:
        OTLPSpanExporter(f"{endpoint}/v1/traces").export([span._readable_span()])
        until((tmp_path / "spans").exists, what="the span")


def test_of_a_span_that_a_pages_own_viewer_gets(tmp_path: Path):
    with terminals("README.md", tmp_path) as typed:
        typed.write("shop.py", "from celery import Celery\n\napp = Celery()\n")
        typed.write("spans.py", SPANS)
        typed.start("celery -A shop otel-links view", "The page: ")
        typed.start("python spans.py")
        typed.runs("run/shop.add", 1)
