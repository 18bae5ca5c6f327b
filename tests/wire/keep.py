"""Writes down messages as this release writes them: `python -m tests.wire.keep`, once for each release.

It uses nothing of the package but `setup` and `propagation`, so that it can be run on any release.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from celery import Celery, group
from opentelemetry import baggage, context
from opentelemetry.sdk.trace import TracerProvider

import celery_otel_links

KEPT = Path(__file__).parent / "kept"
OURS = ("traceparent", "tracestate", "baggage", "celery-otel-links", "celery-otel-links-headers")


def messages() -> dict[str, dict[str, Any]]:
    """The headers of messages that were published in different ways, and what their runs are to be."""
    app = Celery("kept", broker="memory://", set_as_current=True)
    provider = TracerProvider()
    celery_otel_links.setup(app, tracer_provider=provider)

    @app.task(name="kept.work", shared=False)
    def work() -> None:
        pass

    app.finalize()
    task = app.tasks["kept.work"]
    ways = {
        "child": lambda: task.delay(),
        "link": lambda: _linked(task),
        "none": lambda: _mode("none", task),
        "member of a group": lambda: group(task.s(), task.s()).apply_async(),
        "delayed": lambda: task.apply_async(countdown=3600),
    }
    kept = {}
    tracer = provider.get_tracer("request")
    for name, publish in ways.items():
        token = context.attach(baggage.set_baggage("tenant", "acme"))
        with tracer.start_as_current_span("request") as span:
            publish()
            request = span.get_span_context()
        context.detach(token)
        headers = _received(app)
        told = {key: value for key, value in headers.items() if key in OURS}
        kept[name] = {"headers": told, "request": [f"{request.trace_id:032x}", f"{request.span_id:016x}"]}
    return kept


def _linked(task: Any) -> None:
    _mode("link", task)


def _mode(mode: Any, task: Any) -> None:
    with celery_otel_links.propagation(mode):
        task.delay()


def _received(app: Celery) -> dict[str, Any]:
    """The headers of the first message in the queue, which is then empty."""
    headers = None
    with app.connection_for_read() as connection:
        while message := connection.default_channel.basic_get("celery", no_ack=True):
            headers = headers or message.headers
    assert headers
    return dict(headers)


if __name__ == "__main__":
    text = json.dumps(messages(), indent=2, sort_keys=True)
    release = version("celery-otel-links")
    (KEPT / f"{release}.json").write_text(text + "\n")
