"""Providers that are not quite like the SDK's cost what they can't do, and nothing else."""

from __future__ import annotations

import inspect

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from celery_otel_links._declared.names import HISTOGRAMS
from tests.harness.metering import points


class Unhashable(MeterProvider):
    """As logfire's: it can be compared, and so it can't be hashed."""

    __hash__ = None

    def __eq__(self, other):
        return self is other


def test_a_meter_provider_that_cannot_be_hashed_has_metrics_and_hooks_are_called(shop_with):
    reader, called = InMemoryMetricReader(), []
    shop = shop_with(meters=Unhashable([reader]), run_hook=lambda span, request: called.append(request.id))
    shop.run(shop.task("shop.add"), shop.publish("shop.add"))
    names = {metric.name for _, metric, _ in points(reader.get_metrics_data())}
    assert {"celery.task.outcomes", "celery.task.published", "celery.task.latency.queue"} <= names
    assert len(called) == 1


def test_with_fewer_links_than_ours_the_nearest_are_kept_and_the_others_counted(shop_with):
    shop = shop_with(provider=TracerProvider(span_limits=SpanLimits(max_links=1)))

    def hop():
        task.apply_async(otel_propagation="link")

    task = shop.task("shop.hop", hop)
    with shop.tracer.start_as_current_span("request"):
        task.apply_async(otel_propagation="link")
    shop.run(task, shop.sent[-1][1])
    shop.run(task, shop.sent[-1][1])
    second = shop.named("run/shop.hop")[1]
    assert [link.attributes["celery.link.kind"] for link in second.links] == ["producer"]
    assert second.attributes["celery.links.dropped"] == 1


class Raising(SpanProcessor):
    """Fails with each span of ours."""

    def on_start(self, span, parent_context=None):
        if "/" in span.name:
            raise RuntimeError("no room")


@pytest.mark.skipif(
    "exemplar_filter" not in inspect.signature(MeterProvider).parameters, reason="this SDK has no exemplars"
)
def test_no_exemplar_leads_to_a_trace_that_is_not_sampled_whatever_the_filter(shop_with):
    from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter

    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], exemplar_filter=AlwaysOnExemplarFilter())
    shop = shop_with(provider=TracerProvider(sampler=ALWAYS_OFF), meters=meters, histograms=list(HISTOGRAMS))
    shop.run(shop.task("shop.add"), shop.publish("shop.add"))
    found = [one for _, _, point in points(reader.get_metrics_data()) for one in getattr(point, "exemplars", ())]
    assert found != []
    assert {one.trace_id for one in found} <= {None, 0}


class Limited(SpanProcessor):
    """A soft time limit strikes while it looks at a run span, and has waited as long as it may."""

    def on_start(self, span, parent_context=None):
        if span.name.startswith("run/"):
            raise SoftTimeLimitExceeded


def test_an_attempt_whose_start_was_interrupted_by_a_soft_limit_is_counted(shop_with):
    provider, reader = TracerProvider(), InMemoryMetricReader()
    provider.add_span_processor(Limited())
    shop = shop_with(provider=provider, meters=MeterProvider([reader]))
    shop.run(shop.task("shop.add"), shop.publish("shop.add"))
    counted = [(metric.name, dict(point.attributes)) for _, metric, point in points(reader.get_metrics_data())]
    (labels,) = [labels for name, labels in counted if name == "celery.task.outcomes"]
    assert labels["celery.state"] == "SUCCESS"


@pytest.mark.parametrize("mode", ["child", "link"])
def test_a_processor_that_raises_costs_the_span_and_not_the_headers(shop_with, mode):
    provider = TracerProvider()
    provider.add_span_processor(Raising())
    shop = shop_with(provider=provider)
    task = shop.task("shop.add")
    with shop.tracer.start_as_current_span("request") as request:
        task.apply_async(otel_propagation=mode)
    headers = shop.sent[-1][1]
    assert f";mode={mode};" in headers["celery-otel-links"]
    assert f"{request.get_span_context().trace_id:032x}" in headers["traceparent"]


def test_the_order_of_attributes_is_fixed(shop):
    shop.run(shop.task("shop.add"), shop.publish("shop.add"))
    (published,), (run,) = shop.named("apply_async/shop.add"), shop.named("run/shop.add")
    fixed = ["messaging.system", "messaging.operation.name", "messaging.operation.type", "messaging.destination.name"]
    decided = ["celery.task_name", "celery.propagation.mode", "celery.propagation.reason"]
    waited = ["celery.latency.enqueue_to_start", "celery.latency.queue"]
    assert list(published.attributes) == [*fixed, *decided, "messaging.message.id"]
    last = ["messaging.message.id", "celery.state"]
    assert list(run.attributes) == [*fixed, *decided, "celery.hostname", *waited, *last]


def test_a_publisher_names_the_broker_that_it_writes_to(shop):
    shop.app.conf.broker_write_url = "redis://writer.example:7000/0"
    shop.app.conf.broker_read_url = "redis://reader.example:7001/0"
    shop.run(shop.task("shop.add"), {"id": "the-id"})
    (run,) = shop.named("run/shop.add")
    assert (run.attributes["server.address"], run.attributes["server.port"]) == ("reader.example", 7001)
