"""What is seen of spans and metrics that are not as they are declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.harness.declared import Ended, in_metric, in_span

COMMON = {
    "messaging.system": "redis",
    "messaging.destination.name": "celery",
    "celery.task_name": "shop.add",
    "celery.propagation.mode": "child",
    "celery.propagation.reason": "default",
}
SENT = {**COMMON, "messaging.operation.name": "send", "messaging.operation.type": "send"}
RUN = {
    **COMMON,
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "celery.state": "SUCCESS",
}


def producer(more: Mapping[str, Any] | None = None, **fields: Any) -> Ended:
    told = {"name": "apply_async/shop.add", "attributes": {**SENT, **(more or {})}, "links": [], "events": [], **fields}
    return Ended(scope="celery_otel_links", kind="PRODUCER", **told)


def consumer(more: Mapping[str, Any] | None = None, **fields: Any) -> Ended:
    told = {"name": "run/shop.add", "attributes": {**RUN, **(more or {})}, "links": [], "events": [], **fields}
    return Ended(scope="celery_otel_links", kind="CONSUMER", **told)


EXCEPTION = {"exception.type": "KeyError", "exception.message": "a", "exception.stacktrace": ""}
RIGHT = {
    "a publish": producer(),
    "with the name of the conventions": producer(name="send celery"),
    "a publish of a linked message": producer(links=[{"celery.link.kind": "consumer"}]),
    "a run": consumer({"celery.latency.queue": 0.5, "celery.retries": 1}),
    "a run that failed": consumer({"error.type": "KeyError"}, events=[("exception", EXCEPTION)]),
    "a run of which the SDK has left something out": consumer(attributes={"celery.state": "SUCCESS"}, dropped=8),
    "what contrib emits": consumer({"celery.timelimit": (1, 2), "celery.priority": 3}),
    "a span of somebody else": producer({"x": 1})._replace(scope="another"),
    "a span that a test of our users makes": producer({"x": 1})._replace(scope="celery_otel_links.testing"),
}
WRONG = {
    "x": producer({"x": 1}),
    "celery.hostname": producer({"celery.hostname": "on runs alone"}),
    "celery.latency.queue": consumer({"celery.latency.queue": 1}),
    "celery.retries": consumer({"celery.retries": True}),
    "celery.timelimit": consumer({"celery.timelimit": (1, "2")}),
    "celery.propagation.mode": consumer({"celery.propagation.mode": "lnik"}),
    "celery.state": consumer(attributes={name: value for name, value in RUN.items() if name != "celery.state"}),
    "link consumer": consumer(links=[{"celery.link.kind": "consumer"}]),
    "link None": consumer(links=[{}]),
    "of a link": consumer(links=[{"celery.link.kind": "producer", "of a link": 1}]),
    "cheer": consumer(events=[("cheer", {})]),
    "exception.class": consumer(events=[("exception", {"exception.class": "KeyError"})]),
    "shop.add": producer(name="shop.add"),
    "run/shop.add": producer(name="run/shop.add"),
    "celery_otel_links.other": producer()._replace(scope="celery_otel_links.other"),
}


@pytest.mark.parametrize("span", RIGHT.values(), ids=RIGHT)
def test_a_span_as_it_is_declared(span):
    assert list(in_span(span)) == []


@pytest.mark.parametrize(("name", "span"), WRONG.items(), ids=WRONG)
def test_a_span_as_it_is_not_declared(name, span):
    assert [one.name for one in in_span(span)] == [name]


TASK = {"celery.task_name": "shop.add", "messaging.destination.name": "celery"}
OUTCOMES, DURATION = ("celery.task.outcomes", "{task}", "counter"), ("celery.task.duration", "s", "histogram")


@pytest.mark.parametrize(
    ("metric", "series", "expected"),
    [
        (OUTCOMES, {**TASK, "celery.state": "SUCCESS"}, []),
        (DURATION, TASK, []),
        (DURATION, {"otel.metric.overflow": True}, []),
        (DURATION, {**TASK, "otel.metric.overflow": True}, ["otel.metric.overflow"]),
        (DURATION, {**TASK, "celery.retries": 1}, ["celery.retries"]),
        (DURATION, {**TASK, "celery.state": 1}, ["celery.state"]),
        (("celery.task.wait", "s", "counter"), {**TASK, "celery.wait.kind": "lunch"}, ["celery.wait.kind"]),
        (("celery.task.duration", "ms", "histogram"), TASK, ["celery.task.duration"]),
        (("celery.task.duration", "s", "gauge"), TASK, ["celery.task.duration"]),
        (("celery.task.lunch", "s", "counter"), TASK, ["celery.task.lunch"]),
    ],
)
def test_a_metric(metric, series, expected):
    name, unit, kind = metric
    assert [one.name for one in in_metric("celery_otel_links", name, unit, kind, [series])] == expected
    assert list(in_metric("another", name, unit, kind, [series])) == []


def test_a_metric_of_a_scope_that_is_not_declared():
    name, unit, kind = OUTCOMES
    assert list(in_metric("celery_otel_links.main", name, unit, kind, [TASK])) == []
    assert [one.name for one in in_metric("celery_otel_links.other", name, unit, kind, [TASK])] == [
        "celery_otel_links.other"
    ]
