"""Fixtures of these tests: a worker with others beside us, and processes that publish to it. All of them are slow."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.dangling import dangling
from tests.harness.forest import normalised, render
from tests.harness.recording import Span, SpanFile
from tests.harness.waiting import until
from tests.harness.workers import Settings, Worker, environment, worker

HERE = Path(__file__).parent
OURS = ("celery_otel_links", "scene")
COMPLAINTS = ("celery_otel_links", "goes on without it", "Signal handler", "Failed to detach context")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


@dataclass
class System:
    """A worker, and what its processes and those that publish to it have exported."""

    settings: Settings
    env: Mapping[str, str]
    queue: str
    worker: Worker
    spans: SpanFile

    def play(self, scene: str, *arguments: Any, command: Sequence[str] = ()) -> Any:
        """Have a process of its own play a scene. What came of it."""
        argv = [*command, sys.executable, "-m", "tests.systems.scenes", scene, json.dumps(arguments)]
        env = environment(self.settings, ready=Path(os.devnull), env=self.env)
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert [line for line in done.stderr.splitlines() if any(text in line for text in COMPLAINTS)] == []
        return json.loads(done.stdout.splitlines()[-1])

    def ours(self, name: str = "") -> list[Span]:
        """Our spans so far, and the requests around them; those of this name."""
        return [span for span in self.spans.spans() if span.scope in OURS and name in ("", span.name)]

    def until(self, name: str, count: int = 1) -> list[Span]:
        """Wait for so many of our spans of this name."""
        return until(
            lambda: (found := self.ours(name))[count - 1 :] and found,
            what=lambda: f"{count} x {name}; here are {[span.name for span in self.ours()]}\n{self.worker.stderr}",
        )

    def expect(self, expected: str, *, show: Sequence[str] = (), allow: Sequence[str] = ()) -> None:
        """Wait until our spans are this forest; nothing may dangle, and no complaint be logged."""
        wanted = normalised(expected)

        def seen() -> str:
            return render(self.ours(), show=show)

        until(
            lambda: seen() == wanted, what=lambda: f"\n{wanted}\n\nbut\n\n{seen()}\n\n{self.worker.stderr}", steady=0.1
        )
        assert dangling(self.ours(), allow=allow) == []
        assert self.complaints() == []

    def complaints(self) -> list[str]:
        """What the worker has logged about tracing. A signal that ends a process passes through our handler."""
        lines = [
            line for line in self.worker.stderr.splitlines() if "celery_otel_links/_worker/termination" not in line
        ]
        return [line for line in lines if any(text in line for text in COMPLAINTS)]


@pytest.fixture
def open_system(tmp_path: Path, valkey_url: str) -> Callable[..., contextlib.AbstractContextManager[System]]:
    """Opens a system, on Valkey where nothing else is said."""

    @contextlib.contextmanager
    def opened(
        *,
        broker: str = valkey_url,
        backend: str | None = valkey_url,
        conf: Mapping[str, Any] | None = None,
        otel_links: Mapping[str, Any] | None = None,
        beside: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        queue: str = "",
        queues: Sequence[str] = (),
        **options: Any,
    ) -> Iterator[System]:
        queue = queue or f"store-{uuid.uuid4().hex[:8]}"
        spans = SpanFile(tmp_path / "spans.jsonl")
        conf = {"task_default_queue": queue, "worker_send_task_events": False, **(conf or {})}
        settings = Settings(
            broker=broker, backend=backend, spans=str(spans.path), conf=conf, otel_links=otel_links or {}
        )
        env = {
            "OTEL_LINKS_TEST_BESIDE": json.dumps(list(beside)),
            "OTEL_LINKS_TEST_FOLDER": str(tmp_path),
            **(env or {}),
        }
        options = {"app": "tests.systems.app:app", **options}
        with worker(settings, queues=queues or (queue,), env=env, **options) as running:
            yield System(settings, env, queue, running, spans)

    return opened
