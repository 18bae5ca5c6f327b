"""`captured_spans`: what people's own tests see of their tasks."""

from __future__ import annotations

import logging
import os
import threading
import uuid

import pytest
from celery import Celery, chord
from celery.contrib.testing.worker import start_worker
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanKind

from celery_otel_links import CeleryLinksInstrumentor, ConfigError, setup
from celery_otel_links.testing import captured_spans
from tests.boot.programs import python
from tests.harness.needs import needs
from tests.unit.shop import Started

INSTRUMENTOR = CeleryLinksInstrumentor()


@pytest.fixture(autouse=True)
def _logging_as_before():
    """Celery's worker for tests sets the level of the root logger, and takes its handlers."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def app():
    """A shop that a worker in this process can run."""
    app = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.broker_transport_options = {"polling_interval": 0.01}
    app.conf.task_default_queue = f"testing-{uuid.uuid4().hex}"  # the memory is that of the whole process
    app.loader.import_task_module("celery.contrib.testing.tasks")
    app.set_current()

    @app.task(shared=False, name="shop.add")
    def add(*numbers):
        return 0

    @app.task(shared=False, name="shop.fail")
    def fail():
        raise KeyError("sold out")

    @app.task(shared=False, name="shop.checkout")
    def checkout():
        add.delay(1, 2)
        add.apply_async((3, 4), otel_propagation="link")

    @app.task(shared=False, name="shop.flaky", bind=True)
    def flaky(self):
        if self.request.retries < 1:
            raise self.retry(countdown=0)

    yield app
    assert not INSTRUMENTOR.is_instrumented_by_opentelemetry
    app.close()


def test_the_forest_of_eager_tasks(app):
    with captured_spans(app) as captured, captured.tracer.start_as_current_span("request"):
        app.tasks["shop.add"].apply((1, 2))
        app.tasks["shop.fail"].apply()
    assert captured.forest().splitlines() == [
        "request",
        "  run/shop.add  child by default  SUCCESS",
        "  run/shop.fail  child by default  FAILURE  KeyError",
    ]


def test_the_forest_of_a_worker_in_this_process(app):
    with captured_spans(app) as captured, start_worker(app):
        with captured.tracer.start_as_current_span("request"):
            app.tasks["shop.checkout"].delay()
            app.tasks["shop.flaky"].delay()
        captured.wait_for_runs(5)
    assert captured.forest().splitlines() == [
        "request",
        "  apply_async/shop.checkout  child by default",
        "    run/shop.checkout  child by default  SUCCESS",
        "      apply_async/shop.add#1  child by default",
        "        run/shop.add  child by default  SUCCESS",
        "      apply_async/shop.add#2  link by call",
        "  apply_async/shop.flaky  child by default",
        "    run/shop.flaky#1  child by default  RETRY",
        "      apply_async/shop.flaky  child by default",
        "    run/shop.flaky#2  child by default  retry 1  SUCCESS  link previous-attempt -> run/shop.flaky#1",
        "run/shop.add  link by call  SUCCESS  link producer -> apply_async/shop.add#2",
    ]
    kinds = [span.kind for span in captured.of("shop.checkout")]
    assert kinds == [SpanKind.PRODUCER, SpanKind.CONSUMER]


def test_it_waits_for_the_end_of_a_run_and_says_what_was_there_instead(app):
    with captured_spans(app) as captured:
        app.tasks["shop.add"].apply()
        later = threading.Timer(0.2, app.tasks["shop.add"].apply)
        later.start()
        assert len(captured.wait_for_runs(2, "shop.add")) == 2
        later.join()
        with pytest.raises(TimeoutError, match=r"0 of 1 runs of shop.fail (.|\n)*run/shop.add"):
            captured.wait_for_runs(1, "shop.fail", timeout=0)


def test_runs_stand_in_the_order_of_their_publishing():
    """Not of their starts or ends, since these depend on which worker is faster."""
    with captured_spans() as captured:
        first, second = (captured.tracer.start_span(f"publish {which}") for which in ("first", "second"))
        for published, which in ((second, "second"), (first, "first")):
            link = Link(published.get_span_context(), {"celery.link.kind": "producer"})
            captured.tracer.start_span(f"run {which}", links=[link]).end()
        second.end()
        first.end()
    assert captured.forest().splitlines() == [
        "publish first",
        "run first  link producer -> publish first",
        "publish second",
        "run second  link producer -> publish second",
    ]


def test_what_is_not_captured_is_named(app):
    with captured_spans(app) as captured, TracerProvider().get_tracer("of others").start_as_current_span("request"):
        app.tasks["shop.add"].apply()
    assert captured.forest() == "run/shop.add  child by default  SUCCESS  parent -> not captured"


def test_what_is_set_up_already_gets_none_of_it_and_is_as_before(app):
    started, provider = Started(), TracerProvider()
    provider.add_span_processor(started)
    setup(app, tracer_provider=provider)
    try:
        with captured_spans() as outer:
            app.tasks["shop.add"].apply()
            with captured_spans() as inner:
                app.tasks["shop.add"].apply()
        assert (len(outer.spans), len(inner.spans), started.spans) == (1, 1, [])
        app.tasks["shop.add"].apply()
        assert [span.name for span in started.spans] == ["run/shop.add"]
        assert len(outer.spans) == 1
    finally:
        INSTRUMENTOR.uninstrument()


def test_the_global_provider_and_the_instrumentation_are_as_before_also_when_the_test_fails(app):
    before, threads = trace.get_tracer_provider(), threading.enumerate()
    with pytest.raises(ZeroDivisionError), captured_spans(app):
        1 / 0  # noqa: B018
    assert trace.get_tracer_provider() is before
    assert not INSTRUMENTOR.is_instrumented_by_opentelemetry
    assert threading.enumerate() == threads


@pytest.mark.parametrize(("variable", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "always_off")])
def test_the_environment_of_a_test_run_makes_no_difference(app, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with captured_spans(app) as captured:
        app.tasks["shop.add"].apply()
    assert [span.name for span in captured.spans] == ["run/shop.add"]


def test_a_configuration_that_is_off_or_wrong_is_said(app):
    app.conf.otel_links = {"enabled": False}
    with pytest.raises(RuntimeError, match="enabled: False"), captured_spans(app):
        pass
    app.conf.otel_links = {"defualt": "link"}
    with pytest.raises(ConfigError, match="defualt"), captured_spans(app):
        pass


def test_a_chord_has_the_links_of_its_body(app):
    add = app.tasks["shop.add"]
    app.conf.otel_links = {"fan_in": True}
    with captured_spans(app) as captured, start_worker(app):
        with captured.tracer.start_as_current_span("request"):
            chord([add.si(1), add.si(2)])(add.si(3))
        captured.wait_for_runs(3, "shop.add")
    (body,) = [line for line in captured.forest().splitlines() if "link header" in line]
    assert body.count("link header -> run/shop.add#") == 2


FORK = """
import os, signal
from celery import Celery
from celery_otel_links.testing import captured_spans

with captured_spans(Celery("shop", broker="memory://")):
    import concurrent.futures.thread  # as anything may do that a test uses
    child = os.fork()
    if not child:
        os._exit(0)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(10)
    print("the child ended with", os.waitpid(child, 0)[1])
"""


def test_a_process_that_captures_spans_can_fork():
    needs(hasattr(os, "fork"), "fork")
    assert python(FORK).out == "the child ended with 0\n"
