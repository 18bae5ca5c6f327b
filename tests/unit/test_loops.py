"""A loop is counted for the span that publishes, wherever in the process the publishing happens."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

MANY = 60
BEYOND = {"child by default": 20, "link by loop": 40}


def plainly(publish):
    for _ in range(MANY):
        publish()


def gathered(publish):
    async def main():
        await asyncio.gather(*(asyncio.to_thread(publish) for _ in range(MANY)))

    asyncio.run(main())


def in_tasks(publish):
    async def one():
        publish()

    async def main():
        await asyncio.gather(*(asyncio.create_task(one()) for _ in range(MANY)))

    asyncio.run(main())


def in_a_pool(publish):
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(contextvars.copy_context().run, publish) for _ in range(MANY)]:
            future.result()


@pytest.mark.parametrize("way", [plainly, gathered, in_tasks, in_a_pool])
def test_messages_beyond_the_threshold_are_linked(shop, way):
    task = shop.task("shop.add")
    with shop.tracer.start_as_current_span("request"):
        way(task.delay)
    published = shop.named("apply_async/shop.add")
    keys = ("celery.propagation.mode", "celery.propagation.reason")
    assert Counter(" by ".join(span.attributes[key] for key in keys) for span in published) == BEYOND
    assert all("celery-otel-links" in headers for _, headers, _ in shop.sent)
