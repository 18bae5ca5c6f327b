"""A store that hangs, refuses or answers garbage costs a tenth of a second at most, and the links, never the task."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from celery import Celery
from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links._config.options import Config
from celery_otel_links._wire import chord_store as _fan_in
from celery_otel_links._wire import header as _wire
from celery_otel_links._wire.chord_store import PATIENCE, gathered, store
from tests.harness.servers import free_port

LAST = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
ITSELF = _wire.encode_headers([LAST])
MARGIN = 0.08  # what a busy machine may take to wake a thread up
ANSWERS = {
    "hangs": None,
    "answers garbage": b"\x00\xff{]rubbish\r\n" * 100,
    "answers what nobody asked": b"+OK\r\n" * 1000,
    "answers errors": b"-ERR no\r\n" * 1000,
    "says that more will come": b"*2000000000\r\n",
    "answers half": b"$2000000000\r\nab",
}


@contextlib.contextmanager
def server(answer):
    """Accepts everybody, and answers whatever it is asked with ``answer``, if it answers."""
    connections = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connections.append(connection)
                if answer is not None:
                    threading.Thread(target=respond, args=(connection,), daemon=True).start()

    def respond(connection):
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
    for connection in connections:
        connection.close()


@pytest.fixture(autouse=True)
def _bounded(monkeypatch):
    """Nobody waits for what another test has made hang."""
    monkeypatch.setattr(_fan_in, "_bounded", _fan_in._Bounded())


def run_on():
    message = SimpleNamespace(id="task", header_of="group")
    return SimpleNamespace(context=LAST, message=message, headers=None, request=SimpleNamespace(kwargs={}))


def app_with(port):
    app = Celery("shop", broker="memory://", backend=f"redis://127.0.0.1:{port}/0", set_as_current=False)
    app.conf.update(redis_socket_timeout=1.5, redis_socket_connect_timeout=1.5)
    assert app.backend  # to import what Celery needs for it is not the store's time
    return app


def seconds(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_store_that(answer):
    with server(answer) as port:
        check_the_cost(app_with(port))


def test_a_store_that_is_not_there():
    check_the_cost(app_with(free_port()))


def check_the_cost(app):
    took, _ = seconds(lambda: store(app, run_on(), Config()))
    assert took < PATIENCE + MARGIN
    took, text = seconds(lambda: gathered(app, run_on(), "group", Config()))
    assert took < PATIENCE + MARGIN
    assert text == ITSELF  # the last header task knows itself, at least


def test_while_the_store_hangs_nobody_else_waits_for_it():
    with server(None) as port:
        app = app_with(port)
        store(app, run_on(), Config())
        time_of_ten, _ = seconds(lambda: [store(app, run_on(), Config()) for _ in range(10)])
    assert time_of_ten < PATIENCE + MARGIN


def test_what_is_not_asked_for_is_not_touched():
    with server(None) as port:
        app = app_with(port)
        took, text = seconds(lambda: gathered(app, run_on(), "group", Config(fan_in=False)))
        store(app, run_on(), Config(fan_in=False))
    assert took < MARGIN
    assert text == ITSELF
