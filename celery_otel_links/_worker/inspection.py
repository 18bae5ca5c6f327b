"""`celery inspect otel_links`: the answer of a worker's main process; and the probe, a task that asks its children.

Importing this module makes the command known to Celery, in a worker and in the process of `celery inspect`.
"""

from __future__ import annotations

import time
from typing import Any

from celery import Celery
from celery.worker import state
from celery.worker.control import inspect_command
from opentelemetry.trace import format_trace_id

from celery_otel_links import CeleryLinksInstrumentor
from celery_otel_links._errors import PASSING, in_words
from celery_otel_links._tracing.delivery import current_attempt
from celery_otel_links._wire import chord_store
from celery_otel_links._worker.description import describe
from celery_otel_links._worker.questions import PROBE


@inspect_command(name="otel_links", help="Version, configuration and state of celery-otel-links.")  # type: ignore[untyped-decorator, unused-ignore]
def otel_links(worker: Any, **_: Any) -> dict[str, Any]:
    """What the main process of this worker says. Never raises."""
    try:
        instrumentor = CeleryLinksInstrumentor()
        app, consumer = worker.app, worker.consumer
        return {
            **describe(app, instrumentor.telemetry, trying=False),
            "pool": type(consumer.pool).__module__.rpartition(".")[2],
            "received": sum(state.total_count.values()),
            "unstamped": instrumentor.receipts.unstamped if instrumentor.telemetry else None,
            "tasks": sorted(name for name in app.tasks if name != PROBE and not name.startswith("celery.")),
            "queues": sorted(app.amqp.queues.consume_from),
        }
    except Exception as error:
        return {"unknown": [f"it can't be described: {in_words(error)}"]}


def add_probe(app: Celery) -> None:
    """Register the probe with a worker's application."""
    app.task(name=PROBE, bind=True, shared=False, ignore_result=False, store_errors_even_if_ignored=True)(_probe)


def _probe(task: Any, sent: float) -> dict[str, Any]:
    """What the process says that runs this task: itself, and what became of the context of its message."""
    told = {"worker": task.request.hostname}  # it may not be the one that was meant: others consume the same queue
    try:
        attempt = current_attempt()
        # The task's own app: a new one would become the current app of every later task in this process.
        told |= describe(task.app, CeleryLinksInstrumentor().telemetry, trying=True)
        told["fan_in_seconds"] = _fan_in_seconds(task.app) if told.get("fan_in") else None
        told["round_trip"] = time.time() - sent
        if attempt is not None:
            told["mode"], told["reason"] = attempt.delivery.stamp.decision[:2]
            told["trace"] = None if attempt.context is None else format_trace_id(attempt.context.trace_id)
            told["queue_seconds"] = None if attempt.delivery.latency is None else attempt.delivery.latency.queue
        return told
    except PASSING:
        raise
    except Exception as error:
        return {**told, "unknown": [f"it can't be described: {in_words(error)}"]}


def _fan_in_seconds(app: Celery) -> float:
    """How long the body of a chord has to wait for the spans of its header tasks."""
    begun = time.monotonic()
    chord_store.gather(app, "otel-links-doctor", ["otel-links-doctor"], True)
    return time.monotonic() - begun
