"""The span of a batch, from the signals that celery-batches sends to its end, whoever says that."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery import signals
from celery.app.task import Context
from kombu import Queue
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import StatusCode

from celery_otel_links._rules.facts import Claims, LostAttempt
from celery_otel_links._rules.request import gathered
from celery_otel_links._tracing.run import report
from celery_otel_links._wire.header import HEADER, encode

STAMPED = {HEADER: encode(1_700_000_000.0, Claims("child", "default", 9))}


def message(number, queue="celery", **headers):
    """What celery-batches knows of a message."""
    info = {"routing_key": queue, "exchange": "", "redelivered": False}
    fields = {"traceparent": f"00-{number:032x}-{1:016x}-01", **headers}
    return SimpleNamespace(id=f"id-{number}", hostname="worker@here", delivery_info=info, request_dict=fields)


def begin(task, *messages):
    """What celery-batches does before it calls the task: the request has nothing of the messages."""
    task.request_stack.push(Context())
    signals.task_prerun.send(sender=task, task_id="batch", task=task, args=(list(messages),), kwargs={})


def end(task, state):
    kwargs = {"args": (), "kwargs": {}, "retval": None, "state": state}
    signals.task_postrun.send(sender=task, task_id="batch", task=task, **kwargs)
    task.request_stack.pop()


@pytest.mark.parametrize(("state", "status"), [("SUCCESS", StatusCode.UNSET), ("FAILURE", StatusCode.ERROR)])
def test_a_batch_ends_as_celery_batches_says_which_tells_nobody_the_error(shop, state, status):
    task = shop.task("shop.together")
    begin(task, message(1), message(2))
    task.apply_async()
    end(task, state)
    run, published = shop.spans
    assert (run.parent, run.attributes["celery.state"], run.status.status_code) == (None, state, status)
    assert [link.context.trace_id for link in run.links] == [1, 2]
    assert published.parent.span_id == run.context.span_id


def test_a_batch_that_nobody_has_ended_is_ended_when_the_next_task_begins(shop):
    task, following = shop.task("shop.together"), shop.task("shop.add")
    begin(task, message(1))
    task.request_stack.pop()  # it was ended by SystemExit, and its process or thread lives on
    shop.run(following)
    batch, run = shop.spans
    assert (batch.attributes["celery.state"], batch.attributes["error.type"]) == ("FAILURE", "SystemExit")
    assert (run.parent, run.attributes["celery.state"]) == (None, "SUCCESS")


def test_a_batch_that_nobody_has_ended_is_ended_when_the_next_one_begins(shop):
    task = shop.task("shop.together")
    begin(task, message(1))
    task.request_stack.pop()
    begin(task, message(2))
    end(task, "SUCCESS")
    assert [span.attributes["celery.state"] for span in shop.spans] == ["FAILURE", "SUCCESS"]


def test_a_task_that_runs_eagerly_within_a_batch_does_not_end_it(shop):
    task, inner = shop.task("shop.together"), shop.task("shop.add")
    begin(task, message(1))
    inner.apply()
    end(task, "SUCCESS")
    batch, run = shop.spans
    assert run.parent.span_id == batch.context.span_id
    assert batch.attributes["celery.state"] == "SUCCESS"


DARK = {"trust": {"dark": "none"}}
# The queues of the messages, in their order; how far they are trusted together.
MIXED = [(("celery", "celery"), "batch"), (("dark", "celery"), "trust"), (("celery", "dark"), "trust")]


@pytest.mark.parametrize(("queues", "reason"), MIXED)
def test_a_batch_is_trusted_as_far_as_the_least_trusted_of_its_queues(shop_with, queues, reason):
    shop = shop_with(**DARK)
    shop.app.conf.task_queues = [Queue("celery"), Queue("dark", routing_key="dark")]
    task, messages = shop.task("shop.together"), [message(1, queues[0]), message(2, queues[1])]
    begin(task, *messages)
    end(task, "SUCCESS")
    lost = LostAttempt(
        request=gathered(Context(), [messages]), app=shop.app, task=task, name=task.name, state="FAILURE"
    )
    report(shop.instrumentor.telemetry, lost)
    assert [span.attributes["celery.propagation.reason"] for span in shop.spans] == [reason] * 2
    assert [len(span.links) for span in shop.spans] == [2 if reason == "batch" else 0] * 2


def test_with_the_names_of_contrib_a_batch_has_no_id_either(shop_with):
    shop = shop_with(contrib_names=True)
    task = shop.task("shop.together")
    begin(task, message(1))
    end(task, "SUCCESS")
    assert "messaging.conversation_id" not in shop.spans[0].attributes


def test_metrics_have_each_message_and_one_outcome(shop_with):
    reader = InMemoryMetricReader()
    shop = shop_with(meters=MeterProvider([reader]))
    task = shop.task("shop.together")
    begin(task, message(1, **STAMPED), message(2), message(3))
    end(task, "SUCCESS")
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    values = {metric.name: [getattr(one, "value", None) for one in metric.data.data_points] for metric in scope.metrics}
    assert values["messaging.client.consumed.messages"] == [3]
    assert values["celery.task.unstamped"] == [2]
    assert values["celery.task.outcomes"] == [1]
