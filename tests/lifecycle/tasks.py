"""The tasks of the lifecycle tests: each ends in its own way. Workers and publishers declare the same."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore, Reject
from opentelemetry import context, trace

PREFIX = "end."


class Expected(Exception):
    """What a task says that it throws."""


def take(seconds: float) -> None:
    """As long as that; in a loop, as code does that waits for others."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)


def open_app(broker: str, backend: str, conf: Mapping[str, Any]) -> Celery:
    """An application with all tasks, which is not made the current one."""
    app = Celery("ends", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(broker_connection_retry_on_startup=True, worker_send_task_events=False, **conf)
    _answering(app)
    _dying(app)
    _stubborn(app)
    app.finalize()
    return app


def task(app: Celery, **options: Any) -> Callable[[Callable[..., Any]], Task]:
    """Declares a task by the name of its function. Not shared: that would register it on every application."""

    def declare(function: Callable[..., Any]) -> Task:
        return app.task(shared=False, name=PREFIX + function.__name__, **options)(function)  # type: ignore[no-any-return]

    return declare


def _answering(app: Celery) -> None:
    @task(app)
    def succeed(seconds: float = 0) -> int:
        time.sleep(seconds)
        return os.getpid()

    @task(app)
    def fail() -> None:
        raise ValueError("no")

    @task(app, throws=(Expected,))
    def throw() -> None:
        raise Expected

    @task(app, bind=True)
    def retry(self: Task) -> None:
        if not self.request.retries:
            raise self.retry(countdown=0.3)  # later than this attempt stores its state

    @task(app)
    def ignore() -> None:
        raise Ignore

    @task(app, acks_late=True)
    def reject() -> None:
        raise Reject("no", requeue=False)

    @task(app, acks_late=True)
    def reject_once(path: str) -> None:
        """The first delivery goes back to the queue, the second succeeds."""
        if not Path(path).exists():
            Path(path).touch()
            raise Reject("not yet", requeue=True)

    @task(app)
    def return_nonsense() -> object:
        return object()

    @task(app)
    def wait_for(path: str, told: str, seconds: float = 30) -> None:
        """Says in the one file that it has started, and runs until the other exists, or for so long."""
        Path(told).write_text(str(os.getpid()))
        until = time.monotonic() + seconds
        while not Path(path).exists() and time.monotonic() < until:
            time.sleep(0.01)


def _dying(app: Celery) -> None:
    @task(app, soft_time_limit=0.3)
    def overrun_softly() -> None:
        time.sleep(30)

    @task(app, time_limit=0.5)
    def overrun() -> None:
        while True:
            time.sleep(0.01)

    @task(app)
    def kill_itself(after: float = 0) -> None:
        time.sleep(after)
        os.kill(os.getpid(), signal.SIGKILL)

    @task(app)
    def exit_at_once() -> None:
        os._exit(3)

    @task(app)
    def exit_gently() -> None:
        sys.exit(3)

    @task(app, acks_late=True, reject_on_worker_lost=True)
    def kill_itself_once(path: str) -> None:
        """The first delivery is lost with its process, the second succeeds."""
        if not Path(path).exists():
            Path(path).touch()
            os.kill(os.getpid(), signal.SIGKILL)


def _stubborn(app: Celery) -> None:
    @task(app)
    def leave_attached() -> None:
        """Attaches what it never detaches."""
        context.attach(trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(1, 2, False))))

    @task(app)
    def current(seconds: float = 0) -> list[str]:
        """The trace id and the span id of what is current after a while."""
        time.sleep(seconds)
        seen = trace.get_current_span().get_span_context()
        return [f"{seen.trace_id:032x}", f"{seen.span_id:016x}"]

    @task(app)
    def around(fail: bool = False) -> list[str]:
        """Runs another task within itself; its own span is current again afterwards."""
        inner = app.tasks[PREFIX + ("fail" if fail else "succeed")].apply()
        assert inner.state == ("FAILURE" if fail else "SUCCESS")
        return app.tasks[PREFIX + "current"].run()  # type: ignore[no-any-return]

    @task(app)
    def log() -> None:
        logging.getLogger("end").warning("logged by a task")

    @task(app)
    def flushing_threads() -> int:
        """How many threads of this process flush, or wait until they are to."""
        return sum(thread.name == "otel-links-flush" for thread in threading.enumerate())

    @task(app)
    def note(path: str, kill: bool = False) -> None:
        """Writes down that it starts and that it ends, or that it kills its process."""
        identifier = app.current_task.request.id
        for what in ("start", "kill" if kill else "end"):
            line = f"{identifier} {os.getpid()} {time.time():.6f} {what}\n"
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(descriptor, line.encode())
            os.close(descriptor)
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
