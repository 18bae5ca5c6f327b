"""A publishing process: plays one scene in a request's span, and prints what came of it as JSON.

python -m tests.systems.scenes NAME ARGUMENTS
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from importlib import import_module
from typing import Any

from celery import Celery, chord, group
from opentelemetry import baggage, context, trace

from tests.systems import neighbours


def everything(app: Celery) -> None:
    """A message of each kind."""
    tasks = app.tasks
    tasks["store.add"].delay(1, 2)
    tasks["store.linked"].delay()
    tasks["store.order"].delay()
    group(tasks["store.add"].s(number, 1) for number in range(2)).apply_async()


def later(app: Celery, countdown: float, times: int = 1) -> None:
    for _ in range(times):
        app.tasks["store.add"].apply_async((1, 2), countdown=countdown)


def naive(app: Celery, seconds: float) -> None:
    """With an eta without a zone, in UTC, as every worker takes it."""
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    app.tasks["store.add"].apply_async((1, 2), eta=now + timedelta(seconds=seconds))


def priorities(app: Celery) -> None:
    for priority in (0, 5, 9):
        app.tasks["store.add"].apply_async((priority, 0), priority=priority)


def routed(app: Celery, exchange: str, *keys: str) -> None:
    for key in keys:
        app.tasks["store.add"].apply_async((1, 2), exchange=exchange, routing_key=key)


def summed(app: Celery) -> int:
    """A chord, whose sum comes back."""
    body = chord([app.tasks["store.add"].s(number, 1) for number in range(3)])(app.tasks["store.sums"].s())
    return int(body.get(timeout=15))


def says(app: Celery) -> Any:
    """What the task saw, published with an entry of baggage."""
    token = context.attach(baggage.set_baggage("shop", "ours"))
    try:
        return app.tasks["store.says"].delay().get(timeout=15)
    finally:
        context.detach(token)


def one(app: Celery, name: str, *args: Any) -> None:
    app.tasks[name].delay(*args)


def together(app: Celery, what: str, times: int) -> None:
    for _ in range(times):
        app.tasks["store.together"].delay(what)


SCENES: dict[str, Callable[..., Any]] = {
    scene.__name__: scene for scene in (everything, later, naive, priorities, routed, summed, says, one, together)
}


def main(name: str, arguments: str) -> None:
    module = import_module(os.environ.get("OTEL_LINKS_TEST_APP", "tests.systems.app"))
    app, beside = module.app, module.beside

    with neighbours.request(beside), trace.get_tracer("scene").start_as_current_span("request"):
        result = SCENES[name](app, *json.loads(arguments))
    if "logfire" in beside:
        trace.get_tracer_provider().force_flush()
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
