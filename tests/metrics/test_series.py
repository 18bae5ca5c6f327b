"""Which series there are: few, whoever runs the tasks; and what leads from them to a trace."""

from __future__ import annotations

import inspect

import pytest
from opentelemetry.metrics import Histogram

from tests.metrics.told import LATENCIES

EVERY_NAME = {
    *LATENCIES,
    "messaging.client.operation.duration",
    "messaging.process.duration",
    "messaging.client.sent.messages",
    "messaging.client.consumed.messages",
    "celery.task.outcomes",
    "celery.task.duration",
    "flower.task.runtime.seconds",
}


def test_three_tasks_on_two_queues_are_six_series_however_many_processes_run_them(metered_on):
    metered = metered_on(concurrency=8, queues=("other",))
    queues = (metered.story.stage.queue, f"other-{metered.story.stage.queue}")
    tasks = {"shop.sleeper": (0.05,), "shop.add": (1, 2), "shop.plain": ()}
    rounds = 0
    while rounds < 100 and len({point.pid for point in metered.file.points(LATENCIES[0])}) < 8:
        rounds += 12
        for _ in range(12):
            for queue in queues:
                for task, args in tasks.items():
                    metered.story.app.send_task(task, args, queue=queue)
        metered.count(LATENCIES[0], rounds * 6)
    for name in LATENCIES:
        metered.count(name, rounds * 6)
        found = metered.file.points(name)
        assert len({point.pid for point in found}) == 8
        labels = {point.labels for point in found}
        assert len(labels) == 6
        expected = {(task, queue) for task in tasks for queue in queues}
        assert {(dict(one)["celery.task_name"], dict(one)["messaging.destination.name"]) for one in labels} == expected
        assert {key for one in labels for key, _ in one} == {"celery.task_name", "messaging.destination.name"}
    assert len({point.labels for point in metered.file.points("flower.task.runtime.seconds")}) == 3
    assert len({point.labels for point in metered.file.points("messaging.process.duration")}) == 2


@pytest.mark.skipif("context" not in inspect.signature(Histogram.record).parameters, reason="this SDK has no exemplars")
def test_an_exemplar_leads_from_a_slow_bucket_to_the_trace_of_the_slow_task(metered):
    with metered.story.request():
        metered.story.follow([metered.shop.sleeper.delay(0.6) for _ in range(3)])
    metered.waits("shop.sleeper", 3)
    slow = max(metered.story.spans("run/shop.sleeper"), key=lambda span: span.attributes["celery.latency.queue"])
    for name, part in (("celery.task.latency.queue", "queue"), ("celery.task.latency.prefetch", "prefetch")):
        found = [one for point in metered.file.points(name) for one in point.exemplars if one.value > 0.3]
        assert slow.key in {one.key for one in found}
        (value,) = {one.value for one in found if one.key == slow.key}
        assert value == pytest.approx(slow.attributes[f"celery.latency.{part}"])


@pytest.mark.parametrize(
    ("told", "env"), [({"untraced": True}, {}), ({}, {"OTEL_TRACES_SAMPLER": "always_off"})], ids=["untraced", "off"]
)
def test_everything_is_measured_without_any_span(metered_on, told, env):
    metered = metered_on(told, env)
    before = len(metered.story.stage.spans.spans())
    with metered.story.request():
        metered.shop.flaky.delay(1)
    for name in EVERY_NAME - {"messaging.client.operation.duration", "messaging.client.sent.messages"}:
        assert metered.count(name, 2).count == 2
    metered.count("messaging.client.sent.messages", 1)  # the worker publishes the retry
    metered.count("messaging.client.operation.duration", 1)
    seen = metered.story.stage.spans.spans()[before:]
    assert [span.name for span in seen] == ["apply_async/shop.flaky", "request"]
