"""A store that hangs, refuses or answers garbage costs a tenth of a second at most, and the links, never the task."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time
from importlib import import_module
from importlib.util import find_spec

import pytest
from celery import Celery
from celery.backends.base import BaseBackend, KeyValueStoreBackend
from celery.exceptions import SoftTimeLimitExceeded
from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links._wire import chord_store
from celery_otel_links._wire.chord_store import gather, store
from celery_otel_links._wire.result_backends import WAYS, way_of
from celery_otel_links._wire.store_threads import TIMEOUT
from celery_otel_links.testing import captured_spans
from tests.harness.needs import needs
from tests.harness.servers import free_port

ONE = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
OTHER = SpanContext(3, 4, is_remote=True, trace_flags=TraceFlags(0))
MARGIN = 0.9  # what a busy machine may take to wake a thread up
ANSWERS = {
    "hangs": None,
    "answers garbage": b"\x00\xff{]rubbish\r\n" * 100,
    "answers what nobody asked": b"+OK\r\n" * 1000,
    "answers errors": b"-ERR no\r\n" * 1000,
    "says that more will come": b"*2000000000\r\n",
    "answers half": b"$2000000000\r\nab",
}


@contextlib.contextmanager
def server(answer, accepted=lambda: None):
    """Accepts everybody, and answers whatever it is asked with ``answer``, if it answers."""
    connections = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connections.append(connection)
                accepted()
                if answer is not None:
                    threading.Thread(target=respond, args=(connection,), daemon=True).start()

    def respond(connection):
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)  # which ends `accept`; closing does not
        serving.join()
    for connection in connections:
        connection.close()


@pytest.fixture(autouse=True)
def _threads(monkeypatch):
    """Nobody waits for what another test has made hang."""
    monkeypatch.setattr(chord_store._of_this_process, "_threads", None)


def app_with(backend):
    app = Celery("shop", broker="memory://", backend=backend, set_as_current=False)
    app.conf.update(redis_socket_timeout=1.5, redis_socket_connect_timeout=1.5)
    assert app.backend  # to import what Celery needs for it is not the store's time
    return app


def app_at(port):
    return app_with(f"redis://127.0.0.1:{port}/0")


def seconds(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_store_that(answer):
    with server(answer) as port:
        check_the_cost(app_at(port))


def test_a_store_that_is_not_there():
    check_the_cost(app_at(free_port()))


def check_the_cost(app):
    took, _ = seconds(lambda: store(app, "group", "task", ONE, None))
    assert took < TIMEOUT + MARGIN
    took, contexts = seconds(lambda: gather(app, "group", [], None))
    assert took < TIMEOUT + MARGIN
    assert contexts == []


def test_while_the_store_hangs_no_other_header_task_waits_for_it():
    with server(None) as port:
        app = app_at(port)
        store(app, "group", "task", ONE, None)
        time_of_thirty, _ = seconds(lambda: [store(app, "group", "task", ONE, None) for _ in range(30)])
    assert time_of_thirty < MARGIN < 30 * TIMEOUT


def test_what_is_not_asked_for_is_not_touched():
    with server(None) as port:
        app = app_at(port)
        took, contexts = seconds(lambda: gather(app, "group", [], False))
        store(app, "group", "task", ONE, False)
    assert took < MARGIN
    assert contexts == []
    assert chord_store._of_this_process._threads is None


def test_a_header_task_without_a_span_leaves_nothing():
    app = app_at(free_port())
    store(app, "group", "task", None, True)
    store(app, "group", "task", SpanContext(0, 0, is_remote=False), True)
    assert chord_store._of_this_process._threads is None


def test_a_retry_takes_the_place_of_the_attempt_before(valkey_url):
    app = app_with(valkey_url)
    store(app, "retried", "task", OTHER, None)
    store(app, "retried", "task", ONE, None)
    store(app, "retried", "other task", OTHER, None)
    assert sorted(gather(app, "retried", [], None)) == [ONE, OTHER]


def test_our_own_traffic_to_the_store_makes_no_spans(valkey_url):
    needs(find_spec("opentelemetry.instrumentation.redis"), "opentelemetry-instrumentation-redis")
    instrumentor = import_module("opentelemetry.instrumentation.redis").RedisInstrumentor()
    app = app_with(valkey_url)
    with captured_spans() as captured:
        instrumentor.instrument(tracer_provider=captured.tracer_provider)
        try:
            store(app, "quiet", "task", ONE, None)
            assert gather(app, "quiet", [], None) == [ONE]
        finally:
            instrumentor.uninstrument()
    assert captured.spans == []


def test_what_redis_keeps_expires(valkey_url):
    app = app_with(valkey_url)
    store(app, "expiring", "task", ONE, None)
    assert 0 < app.backend.client.ttl("celery-taskset-meta-expiring.otel-links") <= 86400


def test_what_is_seen_among_the_results_is_removed_once_it_has_been_read(tmp_path, monkeypatch):
    monkeypatch.setattr("celery_otel_links._wire.store_threads.TIMEOUT", 10)  # SQLite makes its tables first
    app = app_with(f"db+sqlite:///{tmp_path}/results.sqlite")
    store(app, "group", "one", ONE, True)
    store(app, "group", "other", OTHER, True)
    assert sorted(gather(app, None, ["one", "other", "third"], True)) == [ONE, OTHER]
    session = app.backend.ResultSession()
    assert session.query(app.backend.task_cls).count() == 0
    session.close()


def test_what_celery_raises_into_a_task_passes_through(monkeypatch):
    monkeypatch.setattr("celery_otel_links._wire.store_threads.TIMEOUT", 10)

    def limit():  # the task waits for the store by now
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

    def interrupt(*_):
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with server(None, accepted=limit) as port:
            app = app_at(port)
            with pytest.raises(SoftTimeLimitExceeded):
                store(app, "group", "task", ONE, None)
            with pytest.raises(SoftTimeLimitExceeded):
                gather(app, "group", [], None)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_backend_that_cannot_be_made_costs_nothing_and_is_logged(caplog):
    app = Celery("shop", broker="memory://", backend="no.such.backend:Backend", set_as_current=False)
    with caplog.at_level(logging.DEBUG, "celery_otel_links"):
        store(app, "group", "task", ONE, True)
        assert gather(app, "group", ["task"], True) == []
    assert [record.message for record in caplog.records if "header task" in record.message]


class OwnKeys(KeyValueStoreBackend):
    """Keeps for ever whatever it is given."""


class OwnExpiringKeys(KeyValueStoreBackend):
    supports_autoexpire = True


class DatabaseBackend(BaseBackend):
    """Called like Celery's own, which knows SQL."""

    def cleanup(self):
        """Removes old results."""


BY_DEFAULT, IF_ASKED_FOR, NEVER = True, False, None
BACKENDS = {
    "redis://": BY_DEFAULT,
    "sentinel://": BY_DEFAULT,
    "cache+memory://": BY_DEFAULT,
    "file:///tmp": BY_DEFAULT,
    "db+sqlite://": IF_ASKED_FOR,
    f"{__name__}:OwnExpiringKeys": IF_ASKED_FOR,
    f"{__name__}:DatabaseBackend": IF_ASKED_FOR,
    f"{__name__}:OwnKeys": NEVER,
    "disabled://": NEVER,
}


@pytest.mark.parametrize(("backend", "when"), BACKENDS.items())
def test_which_backends_take_part(backend, when):
    chosen = app_with(backend).backend
    way = way_of(chosen)
    assert (None if way is None else way.cheap(chosen)) is when


def test_a_backend_is_not_taken_for_another_of_its_name():
    assert way_of(app_with(f"{__name__}:DatabaseBackend").backend) is WAYS[-1]
