"""How many series an instrument may have, and how long the names in them may be, whoever invents them."""

from __future__ import annotations

import inspect

import pytest
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from celery_otel_links._declared.names import COUNTERS, HISTOGRAMS
from celery_otel_links._emit.instruments import MOST_SERIES, OVERFLOW, Instruments, Series
from celery_otel_links._errors import failures
from celery_otel_links._rules.facts import Decision
from celery_otel_links._rules.latency import Latency
from celery_otel_links._rules.texts import LONGEST_NAME
from tests.harness.metering import points

OPERATION = ("redis", "process", "celery", "localhost", 6379)
LONG = "x" * (LONGEST_NAME + 1)
SAMPLED = set_span_in_context(NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))))
DURATION = "celery.task.duration"
EXEMPLARS = "context" in inspect.signature(Histogram.record).parameters


@pytest.fixture
def measured():
    """The instruments, with all histograms, and a look at the points of one of them."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    instruments = Instruments(meters.get_meter("test"), timing=True)
    instruments.record_in(HISTOGRAMS)
    yield instruments, lambda name: [one for _, metric, one in points(reader.get_metrics_data()) if metric.name == name]
    meters.shutdown()


def test_names_that_anybody_may_invent_are_no_more_than_two_thousand_series(measured):
    instruments, look = measured
    for number in range(5000):
        instruments.unfinished((f"invented.{number}", "celery"), ("UNKNOWN", None))
    seen = look("celery.task.outcomes")
    assert len(seen) == MOST_SERIES + 1 == 2001
    assert sum(point.value for point in seen) == 5000
    (rest,) = [point for point in seen if dict(point.attributes) == OVERFLOW == {"otel.metric.overflow": True}]
    assert rest.value == 3000


def test_a_histogram_has_no_more_series_either(measured):
    instruments, look = measured
    for number in range(MOST_SERIES + 500):
        instruments.ended((f"invented.{number}", "celery"), OPERATION, ("SUCCESS", None), 0.1, SAMPLED)
    seen = look(DURATION)
    assert len(seen) == MOST_SERIES + 1
    (rest,) = [point for point in seen if dict(point.attributes) == OVERFLOW]
    assert (rest.count, rest.sum) == (500, pytest.approx(50))


@pytest.mark.skipif(not EXEMPLARS, reason="this SDK has no exemplars")
def test_what_has_no_room_leads_to_no_trace(measured):
    instruments, look = measured
    instruments.ended(("shop.add", "celery"), OPERATION, ("SUCCESS", None), 0.1, SAMPLED)
    instruments.ended((LONG, "celery"), OPERATION, ("SUCCESS", None), 0.1, SAMPLED)
    exemplars = {point.attributes.get("celery.task_name"): point.exemplars for point in look(DURATION)}
    assert {name: len(found) for name, found in exemplars.items()} == {"shop.add": 1, None: 0}


@pytest.mark.parametrize("labels", [(LONG, "celery"), ("shop.add", LONG)])
def test_names_that_are_too_long_are_counted_together(measured, labels):
    instruments, look = measured
    for _ in range(3):
        instruments.unfinished(labels, ("UNKNOWN", None))
        instruments.ended(labels, OPERATION, ("SUCCESS", None), 0.1, None)
    assert [(dict(one.attributes), one.value) for one in look("celery.task.outcomes")] == [(OVERFLOW, 6)]
    assert [(dict(one.attributes), one.count) for one in look(DURATION)] == [(OVERFLOW, 3)]


def test_the_longest_name_that_is_kept_is_kept_whole(measured):
    instruments, look = measured
    instruments.unfinished((LONG[1:], "celery"), ("UNKNOWN", None))
    (point,) = look("celery.task.outcomes")
    assert point.attributes["celery.task_name"] == LONG[1:]


def test_series_that_are_known_go_on_when_there_is_no_room_for_others():
    series = Series(("a", "b"))
    first = series.key(("1", None))
    assert series.sets[first] == {"a": "1"}  # what is not there is left out
    for number in range(MOST_SERIES):
        series.key((str(number), "x"))
    assert series.key(("1", None)) is not series.key(("another", None))
    assert series.sets[series.key(("1", None))] == {"a": "1"}
    assert series.sets[series.key(("another", None))] == OVERFLOW
    assert len(series.sets) == MOST_SERIES + 1


WAITED = Latency(6.0, 1.0, 5.0, 2.0, 3.0)


@pytest.mark.parametrize("timing", [True, False], ids=["timing", "counting"])
@pytest.mark.parametrize("wanted", [set(), {DURATION}, set(HISTOGRAMS)], ids=["none", "one", "all"])
def test_histograms_are_recorded_by_name_and_everything_is_counted(timing, wanted):
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    instruments = Instruments(meters.get_meter("test"), timing=timing)
    instruments.record_in({*wanted, "no.such.histogram"})
    task = ("shop.add", "celery")
    instruments.published(task, OPERATION, Decision("child", "default", 9), None, 0.1, None)
    instruments.started(task, OPERATION, WAITED, False, None)
    instruments.redelivered(task)
    failures.one_more("a test")
    instruments.ended(task, OPERATION, ("SUCCESS", None), 0.1, None)
    instruments.ran_on("shop.add", "w", 0.1)
    instruments.ticked("every-minute", 0.1, None)
    seen = {metric.name for _, metric, _ in points(reader.get_metrics_data())}
    assert seen == {*COUNTERS, *(wanted if timing else ())}
    meters.shutdown()


COUNTS = {
    "celery.task.wait": {
        ("celery.wait.kind", "scheduled"): 1.0,
        ("celery.wait.kind", "broker"): 2.0,
        ("celery.wait.kind", "prefetch"): 3.0,
    },
    "celery.task.unstamped": {(): 1},
    "messaging.client.consumed.messages": {(): 2},
}


@pytest.mark.parametrize("name", COUNTS)
def test_what_is_counted_when_a_task_starts(measured, name):
    instruments, look = measured
    task = ("shop.add", "celery")
    instruments.started(task, OPERATION, WAITED, True, None)
    instruments.started(task, OPERATION, Latency(), False, None)  # a message without our header
    seen = {}
    for point in look(name):
        special = [one for one in point.attributes.items() if one[0] == "celery.wait.kind"]
        seen[special[0] if special else ()] = point.value
    assert seen == COUNTS[name]
