"""Whatever stands in the headers of a message: its task runs once, has its span, and nobody hears of it."""

from __future__ import annotations

import os
import re
from collections import Counter

import pytest

from tests.acceptance import raw, rubbish
from tests.acceptance.samplers import sampled
from tests.harness.waiting import until

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-rabbitmq")
FULL = "OTEL_LINKS_TEST_FULL"
MESSAGES = 10_000 if os.environ.get(FULL) else 2_000
LINE = re.compile(r"\[[^]]*: INFO/[^]]*\] Task shop\.add\[([0-9a-f-]{36})\] (received|succeeded in [0-9.e-]+s: 3)$")


@pytest.mark.slow
def test_thousands_of_messages_with_broken_headers(story_of, stage_name):
    story = story_of(**sampled("always"))
    story.end()
    worker = story.stage.worker
    processes = {process.pid for process in worker.children()}
    ids = raw.publish(story.stage, rubbish.headers(MESSAGES, amqp=stage_name == "prefork-rabbitmq"))
    assert len(set(ids)) == MESSAGES

    def spans():
        return [span for span in story.stage.spans.spans() if span.kind == "CONSUMER" and span.message_id in known]

    known = set(ids)
    until(raw.all_done(story.stage, ids), what="the results of all tasks", timeout=120)
    until(lambda: len(spans()) >= MESSAGES, what=lambda: f"a span for each; there are {len(spans())}", steady=0.3)
    assert Counter(span.message_id for span in spans()) == Counter(ids)
    assert {span.scope for span in spans()} == {"celery_otel_links"}
    assert {span.attributes["celery.propagation.mode"] for span in spans()} >= {"child", "link"}
    assert all(value >= 0 for span in spans() for name, value in span.attributes.items() if ".latency." in name)
    log = story.log().splitlines()
    told = [LINE.fullmatch(line) for line in log]
    assert [line for line, found in zip(log, told, strict=True) if found is None] == []
    assert Counter(found[1] for found in told) == Counter(ids * 2)  # each received once and run once
    assert {process.pid for process in worker.children()} == processes


NEWER = "v=2;colour=red;t=1700000000.5;mode=link;reason=call;rank=1;lane=7;mode-of-tomorrow=x"
OLDER = "v=1;t=1700000000.500000"
CREATED = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}


def test_versions_of_the_header_live_together(story):
    story.end()
    versions = [{"celery-otel-links": text, **CREATED} for text in (NEWER, OLDER)] + [CREATED]
    ids = raw.publish(story.stage, versions)

    def runs():
        found = {span.message_id: span for span in story.stage.spans.spans() if span.kind == "CONSUMER"}
        return [found[task_id] for task_id in ids] if found.keys() >= set(ids) else None

    newer, older, without = until(runs, what="the three run spans")
    told = [
        [run.attributes[f"celery.propagation.{name}"] for name in ("mode", "reason")] for run in (newer, older, without)
    ]
    assert told == [["link", "call"], ["child", "default"], ["child", "default"]]
    assert [(link.kind, link.target) for link in newer.links] == [("producer", ("1" * 32, "2" * 16))]
    assert newer.parent is None
    assert older.parent == without.parent == "2" * 16
    measured = ["celery.latency.queue" in run.attributes for run in (newer, older, without)]
    assert measured == [True, True, False]


ODD = {
    "celery-otel-link": "v=1",
    "Traceparent": "mine",
    "x-traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
    "x-number": 2**40,
    "x-nothing": None,
    "x-nested": {"a": [1, {"b": None}], "": "é𝒳"},
    "x-list": [1.5, True, "\n"],
    "x-long": "y" * 4000,
}


def test_what_a_user_sends_arrives_as_it_was(story):
    told = {**ODD}
    with story.request():
        result = story.shop.headers.apply_async((list(ODD),), headers=told)
    assert result.get(timeout=10) == ODD
    assert told == ODD
