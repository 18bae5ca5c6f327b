"""What Celery runs a second time without having noticed the first.

A process that dies in the moment in which its main process handles the death of another has begun a task of which the
main process has not read that it began: the pool gives it to the next process. That moment can't be arranged, so the
pool is played here; the process is a real one.
"""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.concurrency.prefork import TaskPool
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links import Config
from celery_otel_links._rules.request import unstarted
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._wire import header as _wire
from celery_otel_links._worker.main_process import MainProcess


def slow():
    """Never really run here."""


class Request:
    """A worker's request for a task that waits in the pool."""

    time_start = worker_pid = None

    def __init__(self, app: Celery) -> None:
        self.id = "the-id"
        self.app = app
        self.task = app.task(shared=False, name="shop.slow")(slow)
        self.request_dict = {"id": self.id, "task": "shop.slow", "delivery_info": {"routing_key": "bulk"}}

    def on_accepted(self): ...

    def on_failure(self, *_): ...


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def main(exporter):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return MainProcess(Telemetry(app=None, config=Config(), tracer_provider=provider, meter_provider=None))


@pytest.fixture
def request_of(main):
    request = Request(Celery("shop", broker="memory://", set_as_current=False))
    main.received(request, TaskPool())
    return request


def child(what):
    """The pid of a process that has done this, and is gone."""
    pid = os.fork()
    if pid == 0:
        what()
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def pool_of(main):
    """The pool of a consumer that `main` watches."""
    given = []
    pool = SimpleNamespace(on_partial_read=lambda job, process: given.append(job))
    main.ready(SimpleNamespace(pool=SimpleNamespace(_pool=pool), timer=None, on_decode_error=None))
    return pool, given


def begin(main, request):
    main.began(unstarted(request.request_dict))


def end(main, request):
    begin(main, request)
    main.ended(unstarted(request.request_dict))


@pytest.mark.parametrize(
    ("lived", "accepted", "states"),
    [
        pytest.param(begin, False, ["FAILURE"], id="begun"),
        pytest.param(end, False, [], id="ended, which its own process has told"),
        pytest.param(lambda *_: None, False, [], id="not begun"),
        pytest.param(begin, True, [], id="accepted, which the pool knows"),
    ],
)
def test_an_attempt_that_the_pool_has_not_heard_of_has_its_span(main, request_of, exporter, lived, accepted, states):
    pool, given = pool_of(main)
    before = time.time()
    pid = child(lambda: lived(main, request_of))
    job = SimpleNamespace(_accept_callback=request_of.on_accepted, _accepted=accepted)
    pool.on_partial_read(job, SimpleNamespace(pid=pid))
    pool.on_partial_read(job, SimpleNamespace(pid=pid))
    assert given == [job, job]  # the pool goes on as it would
    spans = exporter.get_finished_spans()
    assert [span.attributes["celery.state"] for span in spans] == states
    for span in spans:
        assert span.attributes["error.type"] == "billiard.exceptions.WorkerLostError"
        assert before * 1e9 <= span.start_time <= span.end_time


def test_the_next_attempt_keeps_the_reserved_context(main, request_of, exporter):
    reserved = SpanContext(0xABC, 0xDEF, True, TraceFlags(1))
    claims = _wire.Claims("link", "task", 1, reserved=reserved)
    request_of.request_dict[_wire.HEADER] = _wire.encode(time.time(), claims)
    pool, _ = pool_of(main)
    pid = child(lambda: begin(main, request_of))
    job = SimpleNamespace(_accept_callback=request_of.on_accepted, _accepted=False)
    pool.on_partial_read(job, SimpleNamespace(pid=pid))
    (span,) = exporter.get_finished_spans()
    assert span.attributes["celery.propagation.mode"] == "link"
    assert span.context.trace_id != reserved.trace_id
