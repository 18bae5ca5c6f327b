"""Measurements are recorded off the task's path, and none is lost, doubled or attributed to another span for that."""

from __future__ import annotations

import contextlib
import gc
import inspect
import io
import json
import logging
import os
import signal
import threading
import weakref

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    InMemoryMetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

from celery_otel_links._declared.names import HISTOGRAMS
from celery_otel_links._emit import metrics as _metrics
from celery_otel_links._emit import recorder as _recorder
from celery_otel_links._emit.instruments import Instruments
from celery_otel_links._emit.metrics import Metrics
from celery_otel_links._emit.recorder import Recorder
from celery_otel_links._rules.latency import Latency
from tests.harness.metering import points
from tests.harness.waiting import until

TASK = ("shop.add", "celery")
OPERATION = ("redis", "process", "celery", "localhost", 6379)
SUCCESS, FAILURE = ("SUCCESS", None), ("FAILURE", "ValueError")
EXEMPLARS = "context" in inspect.signature(Histogram.record).parameters
DELTA = dict.fromkeys((Counter, Histogram, ObservableCounter), AggregationTemporality.DELTA)
WAITED = Latency(1.0, 0.0, 1.0, 0.75, 0.25)


@pytest.fixture(params=[{}, DELTA], ids=["cumulative", "delta"])
def reader(request):
    return InMemoryMetricReader(preferred_temporality=request.param)


@pytest.fixture
def meters(reader):
    provider = MeterProvider([reader])
    yield provider
    provider.shutdown()


def measured_by(meters):
    metrics = Metrics(meters, "0")
    metrics.histograms = set(HISTOGRAMS)
    return metrics


def look(reader):
    """What a collection shows, `name: count`; those of a main process as `main/name`."""
    seen = {}
    for scope, metric, point in points(reader.get_metrics_data()):
        name = f"main/{metric.name}" if scope.endswith(".main") else metric.name
        seen[name] = seen.get(name, 0) + getattr(point, "count", getattr(point, "value", 0))
    return seen


def forked(function):
    """What the function returns in a forked child."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    return json.loads(answer)


def run(metrics, times=1):
    for _ in range(times):
        metrics.active().started(TASK, OPERATION, WAITED, True, None)
        metrics.active().ended(TASK, OPERATION, SUCCESS, 0.1, None)


def test_a_collection_sees_everything_that_was_measured_before_it(reader, meters):
    metrics = measured_by(meters)
    threads = [threading.Thread(target=run, args=(metrics, 2000)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = look(reader)
    assert seen["celery.task.latency.queue"] == seen["messaging.process.duration"] == 8000
    assert seen["celery.task.outcomes"] == seen["messaging.client.consumed.messages"] == 8000


def test_threads_that_are_the_first_to_measure_at_once_have_the_same_instruments(meters, monkeypatch):
    both = threading.Barrier(2)

    def made(*values, **more):
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # for another thread that makes them too
        return Instruments(*values, **more)

    monkeypatch.setattr(_metrics, "Instruments", made)
    metrics, seen = measured_by(meters), []
    threads = [threading.Thread(target=lambda: seen.append(metrics.active())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0] is seen[1] is metrics.active()
    assert seen[0] is not None


def test_what_is_measured_is_recorded_even_if_nobody_collects(meters):
    metrics = measured_by(meters)
    run(metrics, 10)
    recorder = metrics.active()._recorder
    assert len(recorder._queue) == 20
    until(lambda: not recorder._queue, what="the thread")


def test_little_is_kept_even_if_the_thread_is_gone(monkeypatch):
    monkeypatch.setattr(_recorder, "_MANY", 5)
    monkeypatch.setattr(_recorder, "_MOST", 10)
    monkeypatch.setattr(Recorder, "_start", lambda self: setattr(self, "_thread", object()))
    recorder, seen = Recorder(), []
    for number in range(1000):
        recorder.put((seen.append, number))
    assert len(recorder._queue) <= 10
    recorder.drain()
    assert seen == list(range(1000))


def test_a_measurement_that_cannot_be_recorded_costs_only_itself(caplog):
    recorder, seen = Recorder(), []
    with caplog.at_level(logging.ERROR, "celery_otel_links"):
        for number in range(4):
            recorder.put((seen.append if number % 2 else {}.__getitem__, number))
        recorder.drain()
    assert seen == [1, 3]
    assert [record.message for record in caplog.records] == [
        "recording a measurement failed; it is left out (said once)"
    ]


@pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")  # of several threads: that is what is tested
@pytest.mark.parametrize("collected", [False, True])
def test_a_forked_child_reports_nothing_that_its_parent_measured(reader, meters, collected):
    metrics = measured_by(meters)
    metrics.only_count()
    metrics.active().unfinished(TASK, SUCCESS)
    run(metrics, 3)
    main = {"outcomes": 4, "wait": 3 * (WAITED.broker + WAITED.prefetch)}
    main = {f"main/celery.task.{name}": value for name, value in main.items()}
    main["main/messaging.client.consumed.messages"] = 3
    if collected:
        assert look(reader) == main

    def child():
        run(metrics, 2)
        return look(reader)

    seen = forked(child)
    assert seen["celery.task.outcomes"] == seen["celery.task.latency.queue"] == seen["messaging.process.duration"] == 2
    assert seen["celery.task.wait"] == 2 * (WAITED.broker + WAITED.prefetch)
    assert [name for name in seen if name.startswith("main/")] == []
    if not collected:
        assert look(reader) == main


@pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")
def test_what_is_pending_at_a_fork_is_recorded_once_by_the_parent(reader, meters):
    metrics = measured_by(meters)
    run(metrics, 3)
    assert forked(lambda: look(reader)) == {}
    assert look(reader)["celery.task.outcomes"] == 3


class Stuck(ConsoleMetricExporter):
    """A collector that does not answer; it does in a child."""

    def __init__(self):
        super().__init__(out=io.StringIO())
        self.pid, self.begun, self.go_on = os.getpid(), threading.Event(), threading.Event()

    def export(self, *args, **kwargs):
        if os.getpid() == self.pid:
            self.begun.set()
            self.go_on.wait(10)
        return super().export(*args, **kwargs)


@pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")
def test_a_child_that_is_forked_during_an_export_exports_as_well():
    exporter = Stuck()
    meters = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
    metrics = measured_by(meters)
    metrics.only_count()
    metrics.active().unfinished(TASK, FAILURE)
    flushing = threading.Thread(target=meters.force_flush, daemon=True)
    flushing.start()
    exporter.begun.wait(5)

    def child():
        signal.alarm(5)
        run(metrics)
        meters.force_flush()
        return exporter.out.getvalue()

    assert "celery.task.latency.queue" in forked(child)
    exporter.go_on.set()
    flushing.join()
    meters.shutdown()


def test_without_a_provider_there_is_nothing_to_measure_with():
    assert measured_by(NoOpMeterProvider()).active() is None
    assert measured_by(None).active() is None  # the global one has not been set


def test_measuring_again_with_the_same_provider_goes_on_where_it_was(reader, meters):
    run(measured_by(meters))
    run(measured_by(meters))
    seen = look(reader)
    assert seen["celery.task.outcomes"] == seen["messaging.process.duration"] == 2


@pytest.mark.skipif(not EXEMPLARS, reason="this SDK has no exemplars")
def test_a_value_belongs_to_its_own_span_whatever_is_current_when_it_is_recorded():
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("own") as own:
        measured_by(meters).active().ended(TASK, OPERATION, SUCCESS, 0.1, set_span_in_context(own))
    with tracer.start_as_current_span("of somebody else"):
        measured_by(meters).active().ended(TASK, OPERATION, SUCCESS, 9.0, None)
        seen = {metric.name: point for _, metric, point in points(reader.get_metrics_data())}
    exemplars = seen["messaging.process.duration"].exemplars
    assert [one.span_id for one in exemplars] == [own.get_span_context().span_id]
    meters.shutdown()


def test_a_provider_that_nobody_needs_is_not_kept():
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    run(measured_by(meters))
    gone = weakref.ref(meters)
    meters.shutdown()
    del meters
    gc.collect()
    assert gone() is None
