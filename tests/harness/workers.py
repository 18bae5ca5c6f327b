"""A real Celery worker as a subprocess in a process group of its own, ready when given, gone afterwards.

What the application in the worker has to know travels in environment variables (`settings_of` reads them there).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from tests.harness import processes
from tests.harness.needs import needs
from tests.harness.waiting import until

REPOSITORY = Path(__file__).parents[2]
VARIABLE = "OTEL_LINKS_TEST_SETTINGS"


@dataclass(frozen=True)
class Settings:
    """What a worker's application is made of; JSON values only.

    `processor` is `simple` (a span is exported when it ends) or `batch` (with a schedule of an hour, so that nothing
    but a flush exports); `instrumentation` is `ours`, `contrib`, `none`, or several in order: `contrib-then-ours`.
    """

    broker: str
    backend: str | None = None
    spans: str = ""
    ready: str = ""
    conf: Mapping[str, Any] = field(default_factory=dict)
    otel_links: Mapping[str, Any] = field(default_factory=dict)
    processor: str = "simple"
    instrumentation: str = "ours"

    @classmethod
    def of_environment(cls) -> Settings:
        """In the worker: what `worker` was given."""
        return cls(**json.loads(os.environ[VARIABLE]))


class Worker:
    """A running worker process."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path) -> None:
        self.process = process
        self._directory = directory

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def stdout(self) -> str:
        return (self._directory / "stdout").read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """Everything that the worker logged."""
        return (self._directory / "stderr").read_text(errors="replace")

    def children(self) -> list[psutil.Process]:
        """The pool's processes that live, without multiprocessing's own helpers."""
        living = []
        for child in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end at any moment, and a zombie has no command
                command = " ".join(child.cmdline())
                if command and "resource_tracker" not in command:
                    living.append(child)
        return living

    def send(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def wait(self, timeout: float = 15.0) -> int:
        """The exit status, once the worker has ended by itself."""
        return self.process.wait(timeout)

    def stop(self, signum: signal.Signals = signal.SIGTERM, timeout: float = 15.0) -> int:
        """Send the signal, and wait for the end."""
        if self.process.poll() is None:
            self.send(signum)
        return self.wait(timeout)


@contextlib.contextmanager
def worker(
    settings: Settings,
    *,
    app: str = "tests.acceptance.app:app",
    pool: str = "prefork",
    concurrency: int = 2,
    queues: Sequence[str] = (),
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = (sys.executable, "-m", "celery"),
) -> Iterator[Worker]:
    """A worker that has said that it is ready. When the block is left, it and all its processes are dead."""
    if pool in ("gevent", "eventlet"):
        needs(find_spec(pool), pool)
    with tempfile.TemporaryDirectory(prefix="worker-") as scratch:
        directory = Path(scratch)
        ready = directory / "ready"
        argv = [*command, "-A", app, "worker", "--pool", pool, "--concurrency", str(concurrency), "--loglevel", "INFO"]
        argv += ["--without-mingle", "--without-gossip", "--without-heartbeat", "--hostname", f"{directory.name}@%h"]
        argv += ["--queues", ",".join(queues)] if queues else []
        process = processes.start(
            [*argv, *args], directory=directory, env=environment(settings, ready=ready, env=env or {})
        )
        started = Worker(process, directory)
        try:
            with contextlib.suppress(TimeoutError):
                until(lambda: ready.exists() or process.poll() is not None, what="a worker that is ready", timeout=30)
            if not ready.exists():
                raise RuntimeError(f"the worker does not start: {started.stdout}{started.stderr}")
            yield started
        finally:
            processes.end(process)


def environment(settings: Settings, *, ready: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that is to read these settings: this one's, without its OpenTelemetry variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CELERY_"))}
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(REPOSITORY)]))
    told = json.dumps({**settings.__dict__, "ready": str(ready)})
    quiet = {"PYTHONDONTWRITEBYTECODE": "1", "C_FORCE_ROOT": "1"}
    return {**inherited, **quiet, "PYTHONPATH": path, VARIABLE: told, **env}
