"""What only RabbitMQ has: delays that it keeps itself, priorities, topic exchanges."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from tests.systems import brokers

DIGITS = re.compile(r"(?:[01]\.){28}")
QUORUM = {
    "task_default_queue_type": "quorum",
    "task_default_exchange_type": "topic",
    "worker_detect_quorum_queues": True,
}


def test_a_delay_that_rabbitmq_keeps_does_not_show_in_names(open_system: Callable[..., Any], valkey_url: str) -> None:
    queue = f"store-{uuid.uuid4().hex[:8]}"
    rules = {"queues": {f"{queue}*": "link"}}
    with brokers.rabbitmq(valkey_url, queue) as broker:
        conf = {**QUORUM, "task_default_exchange": queue, "task_default_routing_key": queue}
        with open_system(broker=broker.broker, conf=conf, otel_links=rules, queue=queue) as system:
            for countdown in (1, 2, 3):
                system.play("later", countdown)
            runs = system.until("run/store.add", 3)
            published = system.ours("apply_async/store.add")
            assert [run.attributes["celery.latency.scheduled"] > 0.5 for run in runs] == [True] * 3
            assert [span for span in system.ours() if DIGITS.search(repr(span.attributes))] == []
            assert len({span.attributes["messaging.destination.name"] for span in published}) == 1
            reasons = {span.attributes["celery.propagation.reason"] for span in published + runs}
            assert reasons == {"queue-rule"}, "a rule about the queue holds for what waits for it"


def test_messages_with_priorities_keep_their_traces(open_system: Callable[..., Any], valkey_url: str) -> None:
    queue = f"store-{uuid.uuid4().hex[:8]}"
    with brokers.rabbitmq(valkey_url, queue) as broker:
        conf = {"task_queue_max_priority": 10}
        with open_system(broker=broker.broker, conf=conf, queue=queue) as system:
            system.play("priorities")
            system.until("run/store.add", 3)
            system.expect(
                """
                request
                  apply_async/store.add
                    run/store.add
                  apply_async/store.add
                    run/store.add
                  apply_async/store.add
                    run/store.add
                """
            )


def test_a_topic_exchange_is_named_alike_by_publisher_and_worker(
    open_system: Callable[..., Any], valkey_url: str
) -> None:
    queue = f"store-{uuid.uuid4().hex[:8]}"
    with brokers.rabbitmq(valkey_url, queue) as broker:
        conf = {
            "task_default_exchange": queue,
            "task_default_exchange_type": "topic",
            "task_default_routing_key": "orders.#",
        }
        with open_system(broker=broker.broker, conf=conf, queue=queue) as system:
            system.play("routed", queue, "orders.new", "orders.old")
            runs = system.until("run/store.add", 2)
            published = {span.id: span for span in system.ours("apply_async/store.add")}
            for run in runs:
                names = [span.attributes["messaging.destination.name"] for span in (published[run.parent], run)]
                assert names[0] == names[1]
                assert names[0].startswith(f"{queue}:orders.")
