"""The main things on every pool and every broker of the table."""

from __future__ import annotations

import pytest
from celery import group

from tests.acceptance.stages import STAGES

pytestmark = pytest.mark.stages(*STAGES)


def test_a_task_is_continued_and_measured(story):
    story.run(
        story.shop.publish.s(story.shop.plain.s()),
        """
        request
          apply_async/shop.publish
            run/shop.publish
              apply_async/shop.plain
                run/shop.plain
        """,
    )
    for name in ("run/shop.publish", "run/shop.plain"):
        told = story.span(name).attributes
        assert 0 <= told["celery.latency.queue"] < 5
        assert told["celery.latency.queue"] == pytest.approx(
            told["celery.latency.broker"] + told["celery.latency.prefetch"], abs=1e-6
        )


def test_a_group_is_linked(story):
    add = story.shop.add
    story.run(
        group(add.s(1, 1), add.s(2, 2)),
        """
        request
          apply_async/shop.add#1  link consumer -> run/shop.add#1
          apply_async/shop.add#2  link consumer -> run/shop.add#2
        run/shop.add#1            link producer -> apply_async/shop.add#1
        run/shop.add#2            link producer -> apply_async/shop.add#2
        """,
    )


def test_a_failure_and_a_retry_are_told_apart(story):
    story.run(
        lambda: [story.shop.fail.delay(), story.shop.flaky.delay(1)],
        """
        request
          apply_async/shop.fail
            run/shop.fail     ERROR
          apply_async/shop.flaky
            run/shop.flaky#1  RETRY
              apply_async/shop.flaky
            run/shop.flaky#2  retry 1  link previous-attempt -> run/shop.flaky#1
        """,
    )


def test_every_one_of_many_tasks_sees_its_own_span(story):
    with story.request():
        results = [story.shop.current.delay() for _ in range(20)]
    told = {tuple(result.get(timeout=15)) for result in results}
    story.expect_reasons("current: child by default x 20")
    assert told == {span.key for span in story.spans("run/shop.current")}


def test_the_system_is_named_after_the_broker(story):
    story.run(story.shop.plain.s(), "request\n  apply_async/shop.plain\n    run/shop.plain")
    kinds = {"redis": "redis", "amqp": "rabbitmq", "filesystem": "filesystem"}
    system = kinds[story.stage.broker.url.partition(":")[0]]
    spans = story.spans("apply_async/shop.plain") + story.spans("run/shop.plain")
    assert [span.attributes["messaging.system"] for span in spans] == [system, system]
