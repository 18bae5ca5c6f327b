"""The threads of the chord store: many requests at once, few threads, nobody waits long, nothing grows."""

from __future__ import annotations

import os
import threading
import time
from importlib import import_module
from importlib.util import find_spec

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import TracerProvider

from celery_otel_links._wire import chord_store, store_threads
from celery_otel_links._wire.store_threads import MOST_AT_ONCE, MOST_THREADS, MOST_WAITING, TIMEOUT, StoreThreads
from tests.harness.needs import needs
from tests.harness.waiting import until

MARGIN = 0.08  # what a busy machine may take to wake a thread up


class Store:
    """Performs nothing until it is open."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.gate = threading.Event()
        self.begun = 0  # one thread at a time begins, as long as it is read
        self.in_step: threading.Barrier | None = None
        self.performed: list[list[object]] = []
        self.threads = StoreThreads(self.perform)
        if is_open:
            self.gate.set()

    def perform(self, store, requests):
        self.begun += 1
        assert self.gate.wait(30)
        if self.in_step:
            self.in_step.wait(30)
        self.performed.append([request.content for request in requests])
        for request in requests:
            request.answer = request.content

    def keep_busy(self, call, contents):
        """The callers, each of which has a thread of the store that has begun to perform its request and no other."""
        callers = [threading.Thread(target=call, args=(self, content)) for content in contents]
        for number, caller in enumerate(callers, 1):
            caller.start()
            until(lambda number=number: self.begun == number, what="one more busy thread")
        return callers

    def write_all(self, contents):
        """Each from a thread of its own, as the tasks of a pool would; ends when all callers go on."""
        callers = [threading.Thread(target=self.threads.write, args=(self, content)) for content in contents]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(30)

    def all(self):
        """What was performed, in the order of that."""
        return [content for together in self.performed for content in together]


@pytest.fixture
def store():
    made = Store()
    yield made
    made.gate.set()  # for the threads that still hang in it


@pytest.fixture
def patient(monkeypatch):
    """Whoever waits does so until the store is open."""
    monkeypatch.setattr(store_threads, "TIMEOUT", 30)


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def test_what_comes_while_the_threads_are_busy_is_performed_together(store, patient):
    store.in_step = threading.Barrier(MOST_THREADS)  # or a fast thread might come for more before a slow one has any
    busy = store.keep_busy(store.threads.write, range(-MOST_THREADS, 0))
    count = MOST_THREADS * MOST_AT_ONCE
    writing = threading.Thread(target=store.write_all, args=(range(count),))
    writing.start()
    until(lambda: store.threads._waiting.qsize() == count, what="the others, which wait")
    store.gate.set()
    for caller in (*busy, writing):
        caller.join(30)
    assert sorted(store.all()) == list(range(-MOST_THREADS, count))
    assert sorted(map(len, store.performed)) == [1] * MOST_THREADS + [MOST_AT_ONCE] * MOST_THREADS


def test_whoever_comes_alone_has_one_thread(patient):
    store = Store(is_open=True)
    for number in range(50):
        store.threads.write(store, number)
    assert store.threads._threads == 1


def test_a_caller_waits_for_a_tenth_of_a_second_and_those_after_it_do_not_wait(store):
    assert TIMEOUT <= seconds(lambda: store.threads.write(store, 0)) < TIMEOUT + MARGIN
    assert seconds(lambda: [store.threads.write(store, number) for number in range(1, 50)]) < MARGIN


def test_what_was_late_is_written_all_the_same_and_then_one_waits_again(store):
    store.write_all(range(20))
    assert store.threads._slow
    store.gate.set()
    until(lambda: sorted(store.all()) == list(range(20)), what="all writes")
    store.threads.write(store, 20)
    until(lambda: not store.threads._slow, what="the end of the slowness")
    store.threads.write(store, 21)
    assert 21 in store.all()  # it has been waited for


def test_an_answer_that_is_late_is_thrown_away(store):
    assert store.threads.read(store, "first") is None
    for _ in range(MOST_THREADS):
        assert store.threads.read(store, "another") is None
    store.gate.set()
    assert store.threads.read(store, "last") == "last"


def test_what_nobody_waits_for_any_more_is_not_read(store, patient, monkeypatch):
    busy = store.keep_busy(store.threads.read, range(MOST_THREADS))
    monkeypatch.setattr(store_threads, "TIMEOUT", 0.01)
    for number in range(MOST_THREADS, MOST_THREADS + 5):
        assert store.threads.read(store, number) is None
    store.gate.set()
    for caller in busy:
        caller.join(30)
    store.threads.write(store, "after")
    until(lambda: "after" in store.all(), what="the last write")
    assert sorted(one for one in store.all() if one != "after") == list(range(MOST_THREADS))


def test_a_store_that_hangs_has_few_threads_and_few_requests_wait(store):
    before = threading.active_count()
    store.threads.write(store, -1)
    for number in range(2 * MOST_WAITING):
        store.threads.write(store, number)
    assert threading.active_count() - before <= MOST_THREADS
    assert store.threads._waiting.qsize() == MOST_WAITING


def test_a_request_that_fails_costs_nobody_else_anything(patient):
    def perform(target, requests):
        if target == "bad":
            raise RuntimeError("no")
        for request in requests:
            request.answer = request.content

    threads = StoreThreads(perform)
    assert threads.read("bad", 1) is None
    assert threads.read("good", 2) == 2


def test_the_threads_are_below_no_span_and_make_none(patient):
    needs(find_spec("opentelemetry.instrumentation.threading"), "opentelemetry-instrumentation-threading")
    instrumentor = import_module("opentelemetry.instrumentation.threading").ThreadingInstrumentor()
    seen = []

    def perform(_, requests):
        seen.append((trace.get_current_span(), is_instrumentation_enabled()))

    instrumentor.instrument()
    try:
        with TracerProvider().get_tracer("test").start_as_current_span("first header task"):
            StoreThreads(perform).write("store", 1)
    finally:
        instrumentor.uninstrument()
    assert seen == [(trace.INVALID_SPAN, False)]


@pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")  # of several threads: that is what is tested
def test_after_a_fork_the_child_has_threads_of_its_own(monkeypatch):
    needs(hasattr(os, "fork"), "fork")
    monkeypatch.setattr(chord_store._of_this_process, "_threads", None)
    parents = chord_store._of_this_process.threads()
    parents.read("store", 1)
    child = os.fork()
    if child == 0:
        threads = chord_store._of_this_process.threads()
        os._exit(0 if threads is not parents and threads._threads == 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert chord_store._of_this_process.threads() is parents
