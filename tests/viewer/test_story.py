"""Which traces belong to one story, and what a person reads about them."""

from __future__ import annotations

from typing import get_args

import pytest

from celery_otel_links._rules.facts import LinkKind
from celery_otel_links._rules.policy import NO_CONTEXT, RULES
from celery_otel_links.cli.viewer import words
from celery_otel_links.cli.viewer.record import Link, spans_of
from celery_otel_links.cli.viewer.story import Stories
from celery_otel_links.cli.viewer.words import milliseconds, outcome
from tests.viewer.made import CHECKOUT, exported, identifier, link, span


def test_linked_traces_belong_to_the_story_of_the_request() -> None:
    (story,) = Stories(CHECKOUT)
    assert [trace.label for trace in story.traces] == ["A", "A1", "A2"]
    assert [trace.trace_id for trace in story.traces] == [identifier(name, 32) for name in ("t1", "t2", "t3")]


def test_tasks_of_a_request_that_was_not_received_are_one_story() -> None:
    runs = [span(f"t{n}", f"r{n}", "run/a", at=n, links=[link("gone", "p", "producer")]) for n in (1, 2)]
    assert [len(story.traces) for story in Stories(runs)] == [2]


def test_traces_that_link_to_each_other_do_not_hang() -> None:
    there, back = link("t1", "a", "producer"), link("t2", "b", "producer")
    assert (
        len(Stories([span("t1", "a", "run/a", at=0, links=[back]), span("t2", "b", "run/b", at=1, links=[there])])) == 2
    )


def test_spans_that_are_each_others_parents_are_drawn_once() -> None:
    circle = [span("t1", "a", "run/a", "b", at=0), span("t1", "b", "run/b", "a", at=1)]
    (story,) = Stories(circle)
    assert [one.name for one, _ in story.traces[0].walk()] == ["run/a", "run/b"]


def test_a_tree_of_twenty_thousand_levels_is_walked() -> None:
    deep = [span("t", f"s{n}", "run/a", f"s{n - 1}" if n else "", at=n) for n in range(20_000)]
    (story,) = Stories(deep)
    assert sum(1 for _ in story.traces[0].walk()) == 20_000


def test_what_is_exported_is_what_is_recorded() -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    received = list(spans_of(ExportTraceServiceRequest.FromString(exported(CHECKOUT))))
    assert [(one.name, one.kind, one.attributes, one.links) for one in received] == [
        (one.name, one.kind, one.attributes, one.links) for one in CHECKOUT
    ]


@pytest.mark.parametrize("reason", [*(name for name, _ in RULES), NO_CONTEXT.reason, "trust", "batch"])
def test_every_reason_has_a_sentence(reason: str) -> None:
    assert reason in words.REASONS


def test_every_kind_of_link_has_words() -> None:
    assert set(get_args(LinkKind)) <= set(words.LINKS)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.00012, "0.1 ms"), (0.0123, "12 ms"), (0.9996, "1.00 s"), (600, "10.0 min"), (259200, "72.0 h")],
)  # fmt: skip
def test_durations_are_read_easily(seconds: float | None, text: str) -> None:
    assert milliseconds(seconds) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [("a", "killed (WorkerLostError)"), ("c1", "RETRY"), ("c2", "attempt 2"), ("x", "EXPIRED"), ("r", "")],
)
def test_an_outcome_is_said_where_it_is_no_success(name: str, text: str) -> None:
    (one,) = [one for one in CHECKOUT if one.span_id == identifier(name, 16)]
    assert outcome(one) == text


def test_a_link_leads_to_a_name_and_to_nothing_where_it_was_not_received() -> None:
    stories = Stories(CHECKOUT)
    assert stories.target(link("t2", "r", "consumer")) == ("A1", "run/receipt")
    assert stories.target(Link("f" * 32, "f" * 16, "origin")) == ("", "")
