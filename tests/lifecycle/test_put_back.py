"""What Celery runs a second time without having noticed the first.

A process that dies in the moment in which its main process handles the death of another has begun a task of which the
main process has not read that it began: the pool gives it to the next process. That moment can't be arranged, so the
pool is played here; the process is a real one.
"""

from __future__ import annotations

import os
import time
from functools import partial
from types import SimpleNamespace

import pytest
from celery import Celery
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links import Config
from celery_otel_links._config.sources import Configuration
from celery_otel_links._rules.request import unstarted
from celery_otel_links._tracing.run import report
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links._wire import header as wire
from celery_otel_links._worker.attempt_board import AttemptBoard
from celery_otel_links._worker.child import Child
from celery_otel_links._worker.lost_attempts import LostAttempts
from celery_otel_links._worker.receipts import Receipts
from celery_otel_links._worker.takeover import Takeover
from celery_otel_links._worker.termination import Termination


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
def board():
    board = AttemptBoard()
    board.share(forked=True)
    return board


@pytest.fixture
def pool(board, exporter):
    """A pool whose main process looks for lost attempts; `given` are the jobs that it gives to the next process."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    configuration = Configuration(given=Config())
    telemetry = Telemetry(configuration=configuration, tracer_provider=provider, meter_provider=None)
    lost = LostAttempts(board, Receipts(), Takeover(board, partial(report, telemetry)))
    given = []
    pool = SimpleNamespace(on_partial_read=lambda job, process: given.append(job), given=given, lost=lost)
    app = SimpleNamespace(tasks={})
    lost.watch(SimpleNamespace(app=app, pool=SimpleNamespace(_pool=pool), timer=None))
    return pool


@pytest.fixture
def request_of(pool):
    request = Request(Celery("shop", broker="memory://", set_as_current=False))
    pool.lost.received(request)
    return request


def process(board, *does):
    """A process of the pool that does this with the board, and is gone."""
    pid = os.fork()
    if pid == 0:
        child = Child(board, Termination(lambda: 1.0))
        child.started()
        for one in does:
            one(child)
        os._exit(0)
    os.waitpid(pid, 0)
    return SimpleNamespace(pid=pid)


def begin(request):
    return lambda child: child.begin(unstarted(request.request_dict))


def claim(request):
    return lambda child: child.claim(unstarted(request.request_dict))


@pytest.mark.parametrize(
    ("lived", "accepted", "states"),
    [
        pytest.param([begin], False, ["FAILURE"], id="begun"),
        pytest.param([begin, claim], False, [], id="ended, which its own process reports"),
        pytest.param([], False, [], id="not begun"),
        pytest.param([begin], True, [], id="accepted, which the pool knows"),
    ],
)
def test_an_attempt_that_the_pool_does_not_know_of_has_its_span(
    board, pool, request_of, exporter, lived, accepted, states
):
    before = time.time()
    gone = process(board, *(does(request_of) for does in lived))
    job = SimpleNamespace(_accept_callback=request_of.on_accepted, _accepted=accepted)
    pool.on_partial_read(job, gone)
    pool.on_partial_read(job, gone)
    assert pool.given == [job, job]  # the pool goes on as it would
    spans = exporter.get_finished_spans()
    assert [span.attributes["celery.state"] for span in spans] == states
    for span in spans:
        assert span.attributes["error.type"] == "billiard.exceptions.WorkerLostError"
        assert before * 1e9 <= span.start_time <= span.end_time


def test_the_next_attempt_keeps_the_reserved_context(board, pool, request_of, exporter):
    reserved = SpanContext(0xABC, 0xDEF, True, TraceFlags(1))
    fields = request_of.request_dict
    fields[wire.HEADER] = wire.encode(time.time(), wire.Claims("link", "task", 1, reserved=reserved))
    fields["traceparent"] = f"00-{0x123:032x}-{0x456:016x}-01"
    gone = process(board, begin(request_of))
    pool.on_partial_read(SimpleNamespace(_accept_callback=request_of.on_accepted, _accepted=False), gone)
    (span,) = exporter.get_finished_spans()
    assert span.attributes["celery.propagation.mode"] == "link"
    assert span.context.trace_id == reserved.trace_id
    assert span.context.span_id != reserved.span_id
