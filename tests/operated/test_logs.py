"""Log records name the task and its trace, in every pool."""

from __future__ import annotations

import logging
import re
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from celery_otel_links import logs
from celery_otel_links.logs import FIELDS, TaskContextFilter
from tests.harness.waiting import until
from tests.operated import MARK

ORIGIN = "0af7651916cd43dd8448eb211c80319c"
POOLS = ("prefork", "threads", "solo", "gevent", "eventlet")


def said(log, text):
    """The fields of the one record with this text."""
    (line,) = [line for line in log.splitlines() if line.endswith(text)]
    return dict(re.findall(r"(\w+)=(\S*)", line.partition(MARK)[2].partition(" : ")[0]))


@pytest.mark.slow
@pytest.mark.parametrize("pool", POOLS)
def test_records_of_a_task_name_it_and_its_trace(operate, pool):
    with operate(pool, otel_links={"tasks": {"operated.say": "link"}}, concurrency=1) as operated:
        headers = {"traceparent": f"00-{ORIGIN}-b7ad6b7169203331-01"}
        result = operated.app.send_task("operated.say", ("hello",), headers=headers)
        result.get(timeout=15)
        run, nested = sorted(
            until(lambda: len(operated.runs()) == 2 and operated.runs(), what="both runs"), key=lambda one: one.start
        )
        log = operated.worker.stderr
        trace_id, span_id = run.trace, run.id
        expected = {"trace_id": trace_id, "span_id": span_id, "origin_trace_id": ORIGIN}
        expected |= {"task_id": result.id, "task_name": "operated.say", "propagation_mode": "link"}
        assert said(log, "hello directly") == expected
        assert said(log, "hello in a thread") == expected
        inner = said(log, "hello in a span")
        assert inner.pop("span_id") not in ("", span_id)
        assert inner == {key: value for key, value in expected.items() if key != "span_id"}
        eagerly = said(log, "hello eagerly")
        assert (eagerly["task_name"], eagerly["span_id"]) == ("operated.nested", nested.id)
        assert eagerly["task_id"] not in ("", result.id)
        received = said(log, f"Task operated.say[{result.id}] received")
        assert received["trace_id"] == ""
        succeeded = next(line for line in log.splitlines() if "operated.say" in line and " succeeded in " in line)
        assert f"trace_id={trace_id}" in succeeded


def record(**extra):
    made = logging.LogRecord("a", logging.INFO, "file", 1, "text", (), None)
    vars(made).update(extra)
    return made


def test_outside_of_a_task_the_fields_are_empty_and_those_of_others_stay():
    made = record(task_id="of somebody else")
    assert TaskContextFilter().filter(made) is True
    assert {name: vars(made)[name] for name in FIELDS} == {**dict.fromkeys(FIELDS, ""), "task_id": "of somebody else"}


@pytest.mark.parametrize(("raised", "passes"), [(SoftTimeLimitExceeded, True), (KeyError, False)])
def test_a_soft_time_limit_in_a_log_call_reaches_the_task_and_nothing_else_does(raised, passes, monkeypatch):
    """Celery raises it wherever the task happens to be."""

    def strike():
        raise raised

    monkeypatch.setattr(logs, "current_attempt", lambda: SimpleNamespace(delivery=None))
    monkeypatch.setattr(logs, "get_current_span", strike)
    with pytest.raises(raised) if passes else nullcontext():
        assert TaskContextFilter().filter(record()) is True


def test_in_structlog_nothing_is_added_outside_of_a_task():
    assert TaskContextFilter()(None, "info", {"event": "text"}) == {"event": "text"}
