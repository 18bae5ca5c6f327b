"""Workers of the application in `app.py`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from celery import Celery

from tests.harness.recording import Span, SpanFile
from tests.harness.workers import Settings, Worker, worker


@dataclass
class Operated:
    """A worker, and an application that is not instrumented and publishes to it."""

    app: Celery
    worker: Worker
    file: SpanFile

    def runs(self) -> list[Span]:
        return [span for span in self.file.spans() if span.kind == "CONSUMER"]


@pytest.fixture
def operate(valkey_url: str, tmp_path) -> Callable[..., Any]:
    """Starts a worker, as a context manager; `told` goes to its application."""

    @contextmanager
    def started(pool: str = "prefork", *, told: dict[str, Any] | None = None, **options: Any) -> Iterator[Operated]:
        queue = f"operated-{uuid.uuid4().hex[:8]}"
        spans = tmp_path / "spans.jsonl"
        conf = {"task_default_queue": queue}
        otel_links = options.pop("otel_links", {})
        settings = Settings(valkey_url, valkey_url, str(spans), conf=conf, otel_links=otel_links)
        env = {"OTEL_LINKS_TEST_OPERATED": json.dumps(told or {})}
        with worker(settings, app="tests.operated.app:app", pool=pool, queues=(queue,), env=env, **options) as running:
            app = Celery(broker=valkey_url, backend=valkey_url, set_as_current=False)
            app.conf.update(conf)
            try:
                yield Operated(app, running, SpanFile(spans))
            finally:
                app.close()

    return started
