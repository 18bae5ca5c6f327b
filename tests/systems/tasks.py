"""The tasks of these tests, declared on any application."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from celery import Celery, Task
from opentelemetry import baggage, trace

from tests.harness import files

logger = logging.getLogger("store")


def open_store(broker: str, backend: str | None = None, conf: Mapping[str, Any] | None = None) -> Celery:
    """An application with all tasks, which is not made the current one."""
    files.install()
    app = Celery("store", broker=broker, backend=backend, set_as_current=False)
    app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False, **(conf or {}))
    declare(app)
    app.finalize()
    return app


# shared=False, everywhere: a shared task is registered on every application of the process.


def declare(app: Celery) -> None:
    """Declare the tasks on ``app``."""

    @app.task(shared=False, name="store.add")
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(shared=False, name="store.sums")
    def sums(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task(shared=False, name="store.linked", otel_propagation="link")
    def linked() -> None:
        pass

    @app.task(shared=False, name="store.fail")
    def fail() -> None:
        raise ValueError("sold out")

    @app.task(shared=False, name="store.order")
    def order() -> None:
        """Publishes from within a task."""
        app.tasks["store.add"].delay(1, 2)

    @app.task(shared=False, name="store.says", bind=True)
    def says(self: Task) -> dict[str, Any]:
        """What the task sees of the context that it runs in."""
        context = trace.get_current_span().get_span_context()
        headers = self.request.headers or {}
        logger.warning("said")
        return {
            "trace": f"{context.trace_id:032x}",
            "span": f"{context.span_id:016x}",
            "baggage": {name: str(value) for name, value in baggage.get_all().items()},
            "header": getattr(self.request, "baggage", None) or headers.get("baggage"),
            "headers": sorted(headers),
        }

    @app.task(shared=False, name="store.in_a_thread")
    def in_a_thread() -> None:
        """Publishes from a thread of the task."""
        thread = threading.Thread(target=app.tasks["store.add"].delay, args=(1, 2))
        thread.start()
        thread.join()
