"""Messages as somebody else would publish them: no instrumentation of this process sees or changes them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kombu import Connection, Exchange, Queue

from tests.acceptance.stages import Stage


def publish(
    stage: Stage,
    headers: Iterable[Mapping[str, Any]],
    *,
    task: str = "shop.add",
    args: tuple[Any, ...] = (1, 2),
    queue: str = "",
    routed_as: str = "",
) -> list[str]:
    """A message for each of these headers: the ids. `routed_as` is a routing key of the sender's choice."""
    ids = []
    queue = queue or stage.queue
    where: dict[str, Any] = {"routing_key": queue}
    if routed_as:
        exchange = Exchange(f"door-of-{queue}", "direct", auto_delete=True)
        bound = Queue(queue, exchange, routed_as)
        where = {"routing_key": routed_as, "exchange": exchange, "declare": [bound]}
    with Connection(
        stage.broker.url, transport_options=stage.broker.conf.get("broker_transport_options")
    ) as connection:
        producer = connection.Producer(serializer="json")
        for extra in headers:
            identifier = str(uuid.uuid4())
            celery = {"lang": "py", "task": task, "id": identifier, "root_id": identifier, "retries": 0, "eta": None}
            body = (args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None})
            producer.publish(body, correlation_id=identifier, headers={**celery, "group": None, **extra}, **where)
            ids.append(identifier)
    return ids


def all_done(stage: Stage, ids: Iterable[str]) -> Callable[[], bool]:
    """Whether all of these tasks have a result by now: a condition to wait for, which asks only for what is missing."""
    backend = stage.app.backend
    missing = [backend.get_key_for_task(identifier) for identifier in ids]

    def done() -> bool:
        asked = missing[:500]
        missing[:500] = [key for key, value in zip(asked, backend.mget(asked), strict=True) if value is None]
        return not missing

    return done
