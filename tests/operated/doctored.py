"""The doctor in a producer's process, and a worker that it looks at."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess
from threading import Thread
from typing import Any, NamedTuple

from celery import Celery

from tests.harness.collector import collector
from tests.harness.waiting import until
from tests.harness.workers import REPOSITORY, Settings, worker
from tests.lifecycle.collectors import refusing, silent

APP = "tests.operated.doctor_app:app"


class Refuses(BaseHTTPRequestHandler):
    """Answers every export with an error that is not worth another try."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(400)

    def log_message(self, *_: object) -> None:
        pass


class Place(NamedTuple):
    """Where everything is."""

    broker: str
    endpoints: dict[str, str]


@contextlib.contextmanager
def place_with(broker: str, directory: Path) -> Iterator[Place]:
    """A good collector, and some that are not."""
    with contextlib.ExitStack() as stack:
        good = stack.enter_context(collector(directory / "spans"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        endpoints = {
            "good": f"{good}/v1/traces",
            "refuses": stack.enter_context(refusing()),
            "hangs": stack.enter_context(silent()),
            "answers with an error": f"http://127.0.0.1:{server.server_port}/v1/traces",
        }
        yield Place(broker, endpoints)


def told(place: Place, queue: str, own: dict[str, Any]) -> str:
    endpoint = place.endpoints[own.get("collector", "good")]
    return json.dumps({"broker": place.broker, "backend": place.broker, "queue": queue, "endpoint": endpoint, **own})


def run(place: Place, queue: str, own: dict[str, Any], *arguments: str, **options: Any) -> CompletedProcess[str]:
    """The doctor in a producer that is set up like this; `env` and `command` are those of its process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CELERY_"))}
    env = {**inherited, "OTEL_LINKS_TEST_DOCTOR": told(place, queue, own), "PYTHONPATH": str(REPOSITORY)}
    command = options.pop("command", (sys.executable, "-m", "celery"))
    argv = [*command, "-A", APP, "otel-links", "doctor", "--timeout", "0.5", *arguments]
    env |= options.pop("env", {})
    return subprocess.run(argv, env=env, capture_output=True, text=True, cwd=REPOSITORY, timeout=60, **options)


def doctor(
    place: Place, queue: str, own: dict[str, Any], *arguments: str, **options: Any
) -> tuple[int, dict[str, Any]]:
    """The exit code and the answer of the doctor in a producer that is set up like this."""
    done = run(place, queue, own, "--json", *arguments, **options)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def visited(place: Place, producer: dict[str, Any], working: dict[str, Any], pool: str = "prefork", unstamped: int = 0):
    """What the doctor says of a producer and a worker."""
    queue = f"doctored-{uuid.uuid4().hex[:8]}"
    env = {"OTEL_LINKS_TEST_DOCTOR": told(place, queue, working)}
    with worker(Settings(place.broker), app=APP, pool=pool, concurrency=1, queues=(queue,), env=env) as running:
        if unstamped:
            plain = Celery(broker=place.broker, set_as_current=False)
            for _ in range(unstamped):
                plain.send_task("doctored.work", queue=queue)
            until(lambda: running.stderr.count("succeeded in") == unstamped, what="the tasks of a plain producer")
            plain.close()
        return doctor(place, queue, producer)
