"""Fixtures of the lifecycle tests: workers whose spans come out by a flush only."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.harness import servers
from tests.harness.needs import needs
from tests.harness.recording import Span, collected
from tests.harness.workers import Settings, Worker, worker
from tests.lifecycle.tasks import open_app

COMPLAINTS = ("celery_otel_links", "goes on without it", "opentelemetry", "Failed to detach context", "Signal handler")
# In the traceback of an exception that Celery itself raises, such as of `sys.exit` in 5.4, or of a soft time limit.
PASSED_THROUGH = tuple(
    f"celery_otel_links/{file}.py"
    for file in ("_worker/method_hooks", "_worker/soft_limit", "_worker/termination", "_tracing/publish")
)


@dataclass
class Site:
    """A running worker, an application that publishes to it, and where its spans go."""

    app: Celery
    start: Callable[[], Worker]
    host: str
    queue: str
    directory: Path

    def __post_init__(self) -> None:
        self.workers = [self.start()]

    @property
    def worker(self) -> Worker:
        return self.workers[-1]

    def supervise(self) -> None:
        """Start the worker again, if it has ended by itself."""
        if not self.worker.alive:
            self.workers.append(self.start())

    @property
    def exported(self) -> Path:
        return self.directory / "spans.jsonl"

    def spans(self) -> tuple[Span, ...]:
        return collected(self.exported)

    def said(self) -> str:
        """All that the worker has logged, each time that it was started."""
        return "".join(worker.stderr for worker in self.workers)

    def complaints(self) -> list[str]:
        """What the worker has logged about tracing, but for what it does, which is at INFO."""
        lines = [line for line in self.said().splitlines() if ": INFO/" not in line]
        complaining = [line for line in lines if any(text in line for text in COMPLAINTS)]
        return [line for line in complaining if not any(file in line for file in PASSED_THROUGH)]


@pytest.fixture(scope="session")
def open_site(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Opens a site, as a context manager."""

    @contextlib.contextmanager
    def opened(
        pool: str,
        broker: str = "valkey",
        *,
        directory: Path | None = None,
        told: Mapping[str, Any] | None = None,
        conf: Mapping[str, Any] | None = None,
        otel_links: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        url: str | None = None,
        args: tuple[str, ...] = (),
        **options: Any,
    ) -> Iterator[Site]:
        needs(pool not in ("gevent", "eventlet") or importlib.util.find_spec(pool), f"the package {pool}")
        directory = directory or tmp_path_factory.mktemp("site")
        url = url or (servers.rabbitmq_url() if broker == "rabbitmq" else valkey_url)
        queue = f"ends-{uuid.uuid4().hex[:8]}"
        host = f"worker@{queue}"
        conf = {"task_default_queue": queue, **(conf or {})}
        backend = valkey_url if broker == "rabbitmq" else url
        spans = str(directory / "spans.jsonl")
        settings = Settings(broker=url, backend=backend, spans=spans, conf=conf, otel_links=otel_links or {})
        env = {"OTEL_LINKS_TEST_LIFECYCLE": json.dumps(told or {}), **(env or {})}
        options = {"app": "tests.lifecycle.app:app", "concurrency": 3, **options}
        with contextlib.ExitStack() as stack:
            if broker == "rabbitmq":
                stack.callback(servers.delete_queues, url, (queue,))
            app = open_app(url, backend, conf)
            stack.callback(app.close)
            args = ("--hostname", host, *args)
            started = partial(worker, settings, pool=pool, queues=(queue,), args=args, env=env, **options)
            yield Site(app, lambda: stack.enter_context(started()), host, queue, directory)

    return opened
