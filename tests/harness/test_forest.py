"""The renderer: one text for one structure, whatever the order and the timing of the spans."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from tests.harness.causality import Causality
from tests.harness.dangling import dangling
from tests.harness.forest import normalised, render
from tests.harness.recording import Link, Span


def span(
    name: str,
    at: int,
    *,
    parent: Span | None = None,
    links: Iterable[tuple[str, Span]] = (),
    task: str | None = None,
    status: str = "UNSET",
    identity: tuple[str, str] | None = None,
    **attributes: Any,
) -> Span:
    kind = {"apply_async": "PRODUCER", "run": "CONSUMER"}.get(name.partition("/")[0], "INTERNAL")
    trace = identity[0] if identity else parent.trace if parent else f"trace-of-{name}-{at}"
    told = {key.replace("_", "."): value for key, value in attributes.items()}
    if task:
        told["messaging.message.id"] = task
    return Span(
        name=name,
        kind=kind,
        trace=trace,
        id=identity[1] if identity else f"{name}-{at}",
        parent=parent.id if parent else None,
        links=tuple(Link(target.key, {"celery.link.kind": kind}) for kind, target in links),
        attributes=told,
        status=status,
        description=None,
        events=(),
        start=at,
        end=at + 1,
        resource={},
        scope="test",
        pid=1,
    )


def group(size: int, finished: list[int]) -> list[Span]:
    """A linked group; the n-th member runs at the time `finished[n]`, and the last one to run publishes the body."""
    request = span("request", 0)
    spans = [request]
    for member in range(size):
        publish = span("apply_async/shop.add", 1 + member, parent=request, task=f"t{member}")
        run = span("run/shop.add", 100 + finished[member], task=f"t{member}", links=[("producer", publish)])
        spans += [publish, run]
        if finished[member] == max(finished):
            spans.append(span("apply_async/shop.sums", 200, parent=run, task="body"))
    return spans


def test_children_are_indented_below_their_parents():
    request = span("request", 0)
    publish = span("apply_async/shop.charge", 1, parent=request, task="a")
    run = span("run/shop.charge", 2, parent=publish, task="a")
    assert render([run, publish, request]) == "request\n  apply_async/shop.charge\n    run/shop.charge"


def test_a_link_names_its_kind_and_its_target():
    publish = span("apply_async/shop.receipt", 1, task="a")
    run = span("run/shop.receipt", 2, task="a", links=[("producer", publish)])
    assert render([run, publish]) == normalised("""
        apply_async/shop.receipt
        run/shop.receipt          link producer -> apply_async/shop.receipt
    """)


def test_links_of_a_span_are_sorted_by_kind():
    here = span("here", 0)
    kinds = ["consumer", "odd", "header", "previous-attempt", "origin", "producer"]
    told = render([here, span("run/x", 1, links=[(kind, here) for kind in kinds])])
    columns = "  ".join(
        f"link {kind} -> here" for kind in ["producer", "origin", "previous-attempt", "header", "consumer", "odd"]
    )
    assert told == f"here\nrun/x  {columns}"


def test_an_outcome_other_than_success_is_said():
    spans = [
        span("run/a", 1, celery_state="SUCCESS"),
        span("run/b", 2, celery_state="FAILURE", status="ERROR"),
        span("run/c", 3, celery_state="FAILURE"),
        span("run/d", 4, celery_state="RETRY", celery_retries=2),
    ]
    assert render(spans).splitlines() == ["run/a", "run/b  ERROR", "run/c  FAILURE", "run/d  retry 2  RETRY"]


def test_what_is_not_there_is_a_question_mark():
    gone = span("gone", 0)
    orphan = span("orphan", 1, parent=gone, links=[("producer", gone)])
    assert render([orphan]) == "orphan  parent -> ?  link producer -> ?"


def test_reason_latency_and_attributes_are_shown_on_demand():
    told = {"celery_propagation_mode": "link", "celery_propagation_reason": "fan-out", "celery_latency_queue": 0.21}
    one = span("run/a", 1, flavour="sweet", **told)
    assert render([one]) == "run/a"
    assert render([one], show=["reason", "latency", "flavour"]) == "run/a  link by fan-out  queue 0.2 s  flavour=sweet"


def test_spans_of_one_name_are_numbered_in_the_order_of_publishing_when_linked_to():
    request = span("request", 0)
    first, second = (span("apply_async/shop.add", at, parent=request, task=f"t{at}") for at in (1, 2))
    runs = [span("run/shop.add", 9, task="t1", links=[("producer", first)])]
    runs += [span("run/shop.add", 8, task="t2", links=[("producer", second)])]
    assert render([*runs, second, first, request]) == normalised("""
        request
          apply_async/shop.add#1
          apply_async/shop.add#2
        run/shop.add              link producer -> apply_async/shop.add#1
        run/shop.add              link producer -> apply_async/shop.add#2
    """)


@pytest.mark.parametrize("finished", [[1, 2, 3], [3, 2, 1], [2, 3, 1], [1, 3, 2]])
def test_the_text_does_not_depend_on_who_was_first(finished):
    spans = group(3, finished)
    random.Random(0).shuffle(spans)
    assert render(spans) == render(group(3, finished=[1, 2, 3]))


def test_alike_neighbours_collapse_on_demand():
    request = span("request", 0)
    spans = [request]
    for number in range(5):
        publish = span("apply_async/shop.add", number, parent=request, task=str(number))
        spans += [publish, span("run/shop.add", 100 - number, parent=publish, task=str(number))]
    headers = [("header", one) for one in spans if one.kind == "CONSUMER"]
    spans.append(span("run/shop.sums", 200, task="body", links=headers))
    assert render(spans, collapse=4) == normalised("""
        request
          apply_async/shop.add  x 5
            run/shop.add
        run/shop.sums           link header -> run/shop.add x 5
    """)


def test_dangling_tells_relations_to_nothing_and_to_other_tasks():
    gone, other = span("gone", 0), span("apply_async/shop.b", 1, task="b")
    spans = [
        other,
        span("run/shop.a", 2, parent=other, task="a"),
        span("run/shop.c", 3, parent=gone, task="c", links=[("origin", gone), ("producer", other)]),
    ]
    assert dangling(spans) == [
        "run/shop.a: parent of another task",
        "run/shop.c: parent is nothing",
        "run/shop.c: link origin to nothing",
        "run/shop.c: link producer to another task",
    ]
    assert dangling(spans, allow=["run/shop.c: *", "*: parent of another task"]) == []


def test_a_story_is_what_hangs_together_through_parents_links_and_tasks():
    request, stranger = span("request", 0), span("request", 50)
    publish = span("apply_async/a", 1, parent=request, task="a")
    linked = span("run/a", 2, task="a", links=[("producer", publish)])
    unrelated = span("run/a", 3, task="a")
    told_by_id = span("run/b", 4, task="b")
    world = Causality([stranger, request, publish, linked, unrelated, told_by_id])
    assert world.story(request) == [request, publish, linked, unrelated]
    assert world.story(request, ["b"]) == [request, publish, linked, unrelated, told_by_id]
