"""Where scenarios play: a broker, a result backend and a pool, with one worker for all tests that ask for the same.

`STAGES` is the table. A test module plays on the first stage, or on those that it names:
`pytestmark = pytest.mark.stages("prefork-valkey", "threads-valkey")`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.utils.url import url_to_parts

from tests.acceptance.shop import open_shop
from tests.harness import servers
from tests.harness.far import far
from tests.harness.recording import SpanFile
from tests.harness.waiting import until
from tests.harness.workers import Settings, Worker, worker

STAGES = {  # name: (pool, broker)
    "prefork-valkey": ("prefork", "valkey"),
    "threads-valkey": ("threads", "valkey"),
    "solo-valkey": ("solo", "valkey"),
    "gevent-valkey": ("gevent", "valkey"),
    "eventlet-valkey": ("eventlet", "valkey"),
    "prefork-files": ("prefork", "files"),
    "prefork-rabbitmq": ("prefork", "rabbitmq"),
}
DEFAULT = "prefork-valkey"
EVERYWHERE = ("prefork-valkey", "threads-valkey", "prefork-files")


@dataclass(frozen=True)
class Broker:
    """Where messages and results go, and what Celery and we have to be configured with for that."""

    url: str
    backend: str
    conf: Mapping[str, Any] = field(default_factory=dict)
    otel_links: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Stage:
    """A worker that is up, and an application that publishes to it."""

    app: Celery
    worker: Worker
    broker: Broker
    conf: Mapping[str, Any]
    queue: str
    spans: SpanFile


class Stages:
    """The stages of a test session, each set up when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open = contextlib.ExitStack()
        self._workers = contextlib.ExitStack()
        self._stages: dict[str, Stage] = {}
        self.spans = SpanFile(directory / "spans.jsonl")

    def get(self, name: str, **told: Any) -> Stage:
        """The stage of this name; `told` (otel_links, conf, backend, env, …) makes it a variant with its own worker.

        A stage whose worker has ended is set up anew.
        """
        key = json.dumps([name, told], sort_keys=True)
        stage = self._stages.get(key)
        if stage is None or not stage.worker.alive:
            stage = self._stages[key] = self._set_up(*STAGES[name], **told)
        return stage

    def broker(self, kind: str) -> Broker:
        """A broker of this kind: `valkey`, `rabbitmq` or `files`."""
        if kind == "files":
            return self._files()
        return Broker(servers.rabbitmq_url() if kind == "rabbitmq" else self._valkey_url, self._valkey_url)

    def far_results(self, delay: float) -> str:
        """A result backend whose every answer takes so many seconds more."""
        near = url_to_parts(self._valkey_url)
        server = self._open.enter_context(far(near.port, delay=delay))
        return f"redis://127.0.0.1:{server.port}/{near.path}"

    def end_workers(self) -> None:
        """End all workers; the brokers stay. Who asks for a stage afterwards gets a new one."""
        for stage in self._stages.values():  # results unsubscribe from the backend when deleted: not after it has gone
            for pending in getattr(stage.app.backend, "_pending_results", ()):
                pending.clear()
        gc.collect()
        self._stages.clear()
        self._workers.close()

    def close(self) -> None:
        self.end_workers()
        self._open.close()

    def _set_up(
        self,
        pool: str,
        kind: str,
        *,
        otel_links: Mapping[str, Any] | None = None,
        conf: Mapping[str, Any] | None = None,
        instrumentation: str = "ours",
        queues: tuple[str, ...] = (),
        backend: str | None = None,
        **options: Any,
    ) -> Stage:
        broker = self.broker(kind)
        if backend is not None:
            broker = replace(broker, backend=backend)
        queue = f"shop-{uuid.uuid4().hex[:8]}"
        complete = {**broker.conf, "task_default_queue": queue, "worker_send_task_events": False, **(conf or {})}
        settings = Settings(
            broker=broker.url,
            backend=broker.backend,
            spans=str(self.spans.path),
            conf=complete,
            otel_links={**broker.otel_links, **(otel_links or {})},
            instrumentation=instrumentation,
        )
        own = (queue, *(f"{name}-{queue}" for name in queues))
        if kind == "rabbitmq":
            self._workers.callback(servers.delete_queues, broker.url, own)
        running = self._workers.enter_context(worker(settings, pool=pool, queues=own, **options))
        # What it logs from now on belongs to a test.
        until(lambda: " ready.\n" in running.stderr, what="a worker that has logged that it is ready")
        app = open_shop(broker.url, broker.backend, complete)
        self._workers.callback(app.close)
        return Stage(app, running, broker, complete, queue, self.spans)

    @cached_property
    def _valkey_url(self) -> str:
        directory = self._directory / "valkey"
        directory.mkdir()
        return self._open.enter_context(servers.valkey(directory))

    def _files(self) -> Broker:
        home = self._directory / f"files-{uuid.uuid4().hex[:8]}"
        folders = {name: home / name for name in ("messages", "control", "processed")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        options = {
            "data_folder_in": str(folders["messages"]),
            "data_folder_out": str(folders["messages"]),
            "control_folder": str(folders["control"]),
            "processed_folder": str(folders["processed"]),
            "polling_interval": 0.05,
        }
        conf = {
            "broker_transport_options": options,
            "worker_enable_remote_control": False,
            "result_chord_retry_interval": 0.2,
        }
        return Broker("filesystem://", f"db+sqlite:///{home / 'results.sqlite'}", conf, {"fan_in": True})
