"""The tasks of the scenarios, declared on any application: workers and publishers have the same shop.

A task that publishes is told what as a signature (`publish`), so that a canvas stands in the test that is about it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore, Reject
from kombu.exceptions import EncodeError
from opentelemetry import baggage as otel_baggage
from opentelemetry import trace

from tests.harness import files


class Unavailable(Exception):
    """What the flaky tasks fail with."""


class LinkedTask(Task):
    abstract = True
    otel_propagation = "link"


ANNOTATIONS = {"shop.annotated": {"otel_propagation": "link"}}


def open_shop(broker: str, backend: str | None = None, conf: Mapping[str, Any] | None = None) -> Celery:
    """An application with all tasks, which is not made the current one."""
    app = closed_shop(broker, backend, conf)
    app.conf.task_annotations = ANNOTATIONS
    _plain_tasks(app)
    _failing_tasks(app)
    _publishing_tasks(app)
    _tasks_with_a_mode(app)
    app.finalize()
    return app


def closed_shop(broker: str, backend: str | None = None, conf: Mapping[str, Any] | None = None) -> Celery:
    """The same application without any task: it can publish by name only."""
    files.install()
    app = Celery("shop", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=True, **(conf or {}))
    return app


# shared=False, everywhere: a shared task is registered on every application of the process.


def _plain_tasks(app: Celery) -> None:
    @app.task(shared=False, name="shop.add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(shared=False, name="shop.sums")
    def sums(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task(shared=False, name="shop.sleeper")
    def sleeper(seconds: float) -> None:
        import time

        time.sleep(seconds)

    @app.task(shared=False, name="shop.swallow")
    def swallow(*_args: Any, **_kwargs: Any) -> None:
        """Takes whatever a callback or an errback is given."""

    @app.task(shared=False, name="shop.labelled")
    def labelled() -> None:
        trace.get_current_span().set_attribute("shop.tenant", "acme")

    @app.task(shared=False, name="shop.baggage")
    def baggage() -> dict[str, object]:
        return dict(otel_baggage.get_all())

    @app.task(shared=False, name="shop.current")
    def current() -> list[str]:
        """The trace id and the span id of what is current in the task."""
        context = trace.get_current_span().get_span_context()
        return [f"{context.trace_id:032x}", f"{context.span_id:016x}"]

    @app.task(shared=False, name="shop.headers", bind=True)
    def headers(self: Task, names: list[str]) -> dict[str, Any]:
        custom = self.request.headers or {}
        return {name: getattr(self.request, name, None) or custom.get(name) for name in names}


def _failing_tasks(app: Celery) -> None:
    @app.task(shared=False, name="shop.fail")
    def fail() -> None:
        raise Unavailable("sold out")

    @app.task(shared=False, name="shop.expected_failure", throws=(Unavailable,))
    def expected_failure() -> None:
        raise Unavailable("sold out")

    @app.task(shared=False, name="shop.flaky", bind=True)
    def flaky(self: Task, times: int, countdown: float = 0) -> int:
        if self.request.retries < times:
            raise self.retry(countdown=countdown, max_retries=times)
        return self.request.retries

    @app.task(shared=False, name="shop.far_then_near", bind=True)
    def far_then_near(self: Task, countdown: float) -> None:
        if self.request.retries < 2:
            raise self.retry(countdown=0 if self.request.retries else countdown)

    @app.task(shared=False, name="shop.autoretry", bind=True, autoretry_for=(Unavailable,), default_retry_delay=0)
    def autoretry(self: Task, times: int) -> None:
        if self.request.retries < times:
            raise Unavailable("later")

    @app.task(shared=False, name="shop.ignore")
    def ignore() -> None:
        raise Ignore

    @app.task(shared=False, name="shop.reject", acks_late=True)
    def reject() -> None:
        raise Reject("no", requeue=False)

    @app.task(shared=False, name="shop.dies_once", bind=True, acks_late=True, reject_on_worker_lost=True)
    def dies_once(self: Task) -> None:
        """Takes its process with it, unless the message has been delivered before."""
        import time

        time.sleep(0.1)  # until the main process knows that it has started
        if not self.request.delivery_info.get("redelivered"):
            os.kill(os.getpid(), signal.SIGKILL)


def _publishing_tasks(app: Celery) -> None:
    @app.task(shared=False, name="shop.publish")
    def publish(*canvases: dict[str, Any]) -> None:
        for canvas in canvases:
            app.signature(canvas).apply_async()

    @app.task(shared=False, name="shop.publish_badly")
    def publish_badly(canvas: dict[str, Any]) -> None:
        """First what can't be serialised, then the canvas."""
        with contextlib.suppress(EncodeError):
            app.tasks["shop.add"].delay(object(), 1)
        app.signature(canvas).apply_async()

    @app.task(shared=False, name="shop.loop")
    def loop(times: int) -> None:
        for number in range(times):
            app.tasks["shop.add"].delay(number, number)

    @app.task(shared=False, name="shop.again", bind=True)
    def again(self: Task, times: int) -> None:
        if times > 1:
            self.delay(times - 1)

    @app.task(shared=False, name="shop.replaced", bind=True)
    def replaced(self: Task, canvas: dict[str, Any]) -> Any:
        return self.replace(app.signature(canvas))


def _tasks_with_a_mode(app: Celery) -> None:
    def nothing() -> None:
        """Only how it is propagated matters."""

    app.task(shared=False, name="shop.linked", otel_propagation="link")(nothing)
    app.task(shared=False, name="shop.continued", otel_propagation="child")(nothing)
    app.task(shared=False, name="shop.unrelated", otel_propagation="none")(nothing)
    app.task(shared=False, name="shop.inherited", base=LinkedTask)(nothing)
    app.task(shared=False, name="shop.overriding", base=LinkedTask, otel_propagation="child")(nothing)
    app.task(shared=False, name="shop.annotated")(nothing)
    app.task(shared=False, name="shop.plain")(nothing)
