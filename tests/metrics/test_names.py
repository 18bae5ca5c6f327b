"""Which instruments there are: two histograms by default, the others by name, and every counter always."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from celery_otel_links import CeleryLinksInstrumentor, Config
from celery_otel_links._declared.names import HISTOGRAMS
from celery_otel_links._errors import failures
from tests.acceptance.shop import open_shop
from tests.harness.metering import points

ALL = {"contrib_names": True, "histograms": list(HISTOGRAMS)}


def test_two_histograms_are_recorded_by_default():
    assert set(Config().histograms) == {"celery.task.latency.queue", "celery.task.duration"}


@pytest.fixture(params=[{}, ALL], ids=["by default", "everything"])
def config(request):
    return request.param


@pytest.fixture
def here(config):
    """The shop in this process, and a look at everything that it has measured."""
    failures.forget()  # of other tests in this process
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    app = open_shop("memory://")
    app.set_current()
    CeleryLinksInstrumentor().instrument(meter_provider=meters, config=config)
    yield app, lambda: {metric.name: point for _, metric, point in points(reader.get_metrics_data())}
    CeleryLinksInstrumentor().uninstrument()
    meters.shutdown()


def test_an_eager_task_has_waited_for_nothing_and_consumed_no_message(here, config):
    app, look = here
    app.tasks["shop.plain"].apply()
    more = {"messaging.process.duration", "flower.task.runtime.seconds"} if config else set()
    assert set(look()) == {"celery.task.duration", "celery.task.outcomes", *more}
    assert look()["celery.task.outcomes"].value == 1


NAMED = {"messaging.operation.name": "send", "messaging.system": "memory", "messaging.destination.name": "celery"}
TASK = {"celery.task_name": "shop.plain", "messaging.destination.name": "celery"}
DECIDED = {"celery.propagation.mode": "child", "celery.propagation.reason": "default"}


def test_publishing_is_counted_with_its_decision(here, config):
    app, look = here
    app.tasks["shop.plain"].delay()
    seen = look()
    assert dict(seen["messaging.client.sent.messages"].attributes) == NAMED
    assert dict(seen["celery.task.published"].attributes) == TASK | DECIDED
    timed = {"messaging.client.operation.duration"} if config else set()
    assert set(seen) == {"messaging.client.sent.messages", "celery.task.published", *timed}
    for name in timed:
        assert dict(seen[name].attributes) == NAMED | {"messaging.operation.type": "send"}


def test_a_publish_that_fails_says_its_class(here):
    app, look = here
    with pytest.raises(Exception, match="nonsense"):
        app.tasks["shop.plain"].apply_async(serializer="nonsense")
    for name in ("messaging.client.sent.messages", "celery.task.published"):
        assert look()[name].attributes["error.type"].endswith("SerializerNotInstalled")
