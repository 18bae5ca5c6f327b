"""The same traces with every transport: the same messages, published and run by real processes."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.systems import brokers

EVERYTHING = """
    request
      apply_async/store.add#1
        run/store.add#1
      apply_async/store.add#2     link consumer -> run/store.add#3
      apply_async/store.add#3     link consumer -> run/store.add#4
      apply_async/store.linked    link consumer -> run/store.linked
      apply_async/store.order
        run/store.order
          apply_async/store.add#4
            run/store.add#2
    run/store.add#3     link producer -> apply_async/store.add#2
    run/store.add#4     link producer -> apply_async/store.add#3
    run/store.linked    link producer -> apply_async/store.linked
"""
BROKERS = ("valkey", "rabbitmq", "files", "postgresql", "sqs")


@pytest.fixture
def queue() -> str:
    return f"store-{uuid.uuid4().hex[:8]}"


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path, valkey_url: str, queue: str) -> Iterator[brokers.Broker]:
    opened = {
        "valkey": lambda: brokers.valkey(valkey_url),
        "rabbitmq": lambda: brokers.rabbitmq(valkey_url, queue),
        "files": lambda: brokers.files(tmp_path, valkey_url),
        "postgresql": brokers.postgresql,
        "sqs": lambda: brokers.sqs(tmp_path, valkey_url),
    }
    with opened[request.param]() as broker:
        yield broker


def test_every_transport_shows_the_same_traces(
    open_system: Callable[..., Any], broker: brokers.Broker, queue: str
) -> None:
    with open_system(**vars(broker), queue=queue) as system:
        system.play("everything")
        system.until("run/store.add", 4)
        system.expect(EVERYTHING)
        for run in (span for span in system.ours() if span.kind == "CONSUMER"):
            said = run.attributes
            assert queue in said["messaging.destination.name"]
            assert said["celery.latency.queue"] == pytest.approx(
                said["celery.latency.broker"] + said["celery.latency.prefetch"]
            )
            assert said["celery.latency.enqueue_to_start"] == pytest.approx(
                said.get("celery.latency.scheduled", 0) + said["celery.latency.queue"]
            )
