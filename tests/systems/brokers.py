"""Brokers and result backends beyond Valkey, as real servers or files, with what Celery has to be told for each."""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import processes, servers
from tests.harness.needs import needs
from tests.harness.waiting import until

POSTGRES_VARIABLE = "OTEL_LINKS_TEST_POSTGRES"
POSTGRES_DEFAULT = "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres"


@dataclass(frozen=True)
class Broker:
    """What a system is opened with."""

    broker: str
    backend: str | None
    conf: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def valkey(url: str) -> Iterator[Broker]:
    """The Valkey of the session."""
    yield Broker(url, url)


@contextlib.contextmanager
def rabbitmq(backend: str, *queues: str) -> Iterator[Broker]:
    """The RabbitMQ that answers; the queues and the exchanges of these names are deleted afterwards."""
    url = servers.rabbitmq_url()
    try:
        yield Broker(url, backend)
    finally:
        servers.delete_queues(url, queues)


@contextlib.contextmanager
def files(directory: Path, backend: str) -> Iterator[Broker]:
    """The filesystem as a broker."""
    options: dict[str, Any] = {"polling_interval": 0.05}
    for name, option in (("messages", "data_folder_in"), ("control", "control_folder"), ("done", "processed_folder")):
        (directory / name).mkdir()
        options[option] = str(directory / name)
    options["data_folder_out"] = options["data_folder_in"]
    yield Broker("filesystem://", backend, {"broker_transport_options": options, "worker_enable_remote_control": False})


@contextlib.contextmanager
def postgresql() -> Iterator[Broker]:
    """A database of its own in a PostgreSQL that answers, for messages and results."""
    sqlalchemy = _library("sqlalchemy")
    _library("psycopg2")
    server = sqlalchemy.create_engine(
        os.environ.get(POSTGRES_VARIABLE, POSTGRES_DEFAULT),
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 2},
    )
    name = f"otel_links_{uuid.uuid4().hex[:8]}"
    connection = None
    with contextlib.suppress(sqlalchemy.exc.OperationalError):
        connection = server.connect()
    needs(connection, f"a PostgreSQL that answers at {POSTGRES_DEFAULT} or where {POSTGRES_VARIABLE} says")
    connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    url = server.url.set(database=name).render_as_string(hide_password=False)
    try:
        conf = {"worker_enable_remote_control": False}
        yield Broker(f"sqla+{url}", f"db+{url}", {**conf, "result_chord_retry_interval": 0.2})
    finally:
        connection.execute(sqlalchemy.text(f"DROP DATABASE {name} WITH (FORCE)"))
        connection.close()
        server.dispose()


@contextlib.contextmanager
def sqs(directory: Path, backend: str) -> Iterator[Broker]:
    """What speaks SQS on this machine: moto's server."""
    for library in ("moto", "flask", "boto3", "pycurl"):
        _library(library)
    port = servers.free_port()
    process = processes.start(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], directory=directory
    )
    until(lambda: servers.accepts(port), what="moto's server", timeout=30)
    env = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "eu-central-1"}
    options = {"region": "eu-central-1", "wait_time_seconds": 1, "polling_interval": 0.1, "is_secure": False}
    conf = {"broker_transport_options": options, "worker_enable_remote_control": False}
    try:
        yield Broker(f"sqs://nobody:nothing@127.0.0.1:{port}", backend, conf, env)
    finally:
        processes.end(process, patience=2)


def _library(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        needs(None, f"the package {name}")
    return None
