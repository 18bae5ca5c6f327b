"""What is known of the tasks of a workflow -> tree, chords, and what keeps a body from coming."""

from __future__ import annotations

import pytest
from celery.exceptions import ChordError

from celery_otel_links.cli.trace import searches, tree
from celery_otel_links.cli.workflow import Known, chords, mentioned, of_result, parents, published


def known(*tasks):
    return {task.id: task for task in tasks}


def test_a_result_says_what_it_holds_and_no_more():
    meta = {"status": "FAILURE", "result": ValueError("no"), "parent_id": "up", "group_id": "g", "children": [["c", 1]]}
    assert of_result(meta, "t") == Known("t", state="FAILURE", error="ValueError: no", parent="up", group="g")
    assert of_result({"status": "SUCCESS", "result": "secret", "name": 7}, "t") == Known("t", state="SUCCESS")
    assert of_result({}, "t") == Known("t")


@pytest.mark.parametrize(
    ("children", "expected"),
    [
        ([[["a", None], None]], [("a", None)]),
        ([[["g", None], [[["a", None], None], [["b", None], None]]]], [("a", "g"), ("b", "g")]),
        ([[["g", None], [[["h", None], [[["a", None], None]]]]]], [("a", "h")]),
        (None, []),
        ("rubbish", []),
        ([7, [], [[]], [[None, None], None], ["a"]], []),
    ],
    ids=str,
)
def test_the_ids_of_children(children, expected):
    assert list(published(children)) == expected


def test_of_what_a_worker_and_a_result_say_the_end_counts_most():
    held = Known("t", state="active", worker="w", seconds=3.0, root="r")
    assert Known("t").joined(held).state == "active"
    assert held.joined(Known("t", state="STARTED")).state == "active"
    assert held.joined(Known("t", state="SUCCESS")).state == "SUCCESS"
    assert held.joined(Known("t", state="SUCCESS", name="n"))[:2] == ("t", "n")
    assert Known("t", state="RETRY").joined(Known("t")).state == "RETRY"


def test_nobody_is_above_himself():
    tasks = known(Known("a", parent="b"), Known("b", parent="a"), Known("c", parent="c", children=(("a", None),)))
    above = parents(tasks)
    assert above == {"a": "b"} | {"b": "c"} or above == {"a": "b"}
    assert sorted(task.id for _, task in tree(tasks, above)) == ["a", "b", "c"]


def test_the_tree():
    tasks = known(Known("top", children=(("b", None),)), Known("a", parent="top"), Known("b"), Known("c", parent="a"))
    assert [where for where, _ in tree(tasks, parents(tasks))] == ["top", "├─ a", "│  └─ c", "└─ b"]


def test_a_chain_of_a_thousand_tasks_is_drawn():
    tasks = known(*[Known(str(number), parent=str(number - 1)) for number in range(1000)])
    assert len(list(tree(tasks, parents(tasks)))) == 1000


def test_the_search_begins_with_the_topmost():
    tasks = known(Known("top"), Known("a", parent="top"))
    assert 'conversation_id = "top"' in searches(tasks, "a", parents(tasks))
    assert 'messaging.message.id = "a"' in searches(tasks, "a", parents(tasks))


def body(state="PENDING", **fields):
    return Known("body", state=state, **fields)


FAILED = body("FAILURE", error=f"ChordError: {ChordError('Dependency h2 raised ValueError(1)')}")


@pytest.mark.parametrize(
    ("last", "end", "came", "wrong"),
    [
        ({"state": "SUCCESS"}, body("SUCCESS", group="g", parent="h1"), True, []),
        ({"state": "SUCCESS"}, body(), None, []),
        ({"state": "FAILURE", "error": "ValueError: 1"}, FAILED, False, ["h2 ended as FAILURE: ValueError: 1"]),
        ({"state": "REVOKED", "name": "n"}, body(), False, ["h2 (n) ended as REVOKED"]),
        (
            {"state": "active", "worker": "w", "seconds": 4.2},
            body(),
            False,
            ["h2 has not ended: it has been running for 4 s at w"],
        ),
        ({"state": "reserved", "worker": "w"}, body(), False, ["h2 has not begun: w holds it (reserved)"]),
        ({"state": "RETRY"}, body(), None, ["h2 has not ended: RETRY"]),
        (
            {"trace": "t"},
            body(),
            None,
            ["h2 began and has left no result, and no worker that answers holds it: its worker may have died"],
        ),
        (
            {},
            body(),
            None,
            ["h2 has no result and no worker that answers holds it: it waits in the broker, or was lost"],
        ),
    ],
)
def test_why_a_body_has_not_come(last, end, came, wrong):
    first = Known("h1", state="SUCCESS", group="g")
    tasks = known(first, Known("h2", **{"group": "g", **last}), end)
    (found,) = chords(tasks, {"g": {"h1", "h2"}})
    assert (found.headers, found.came, list(found.wrong)) == (("h1", "h2"), came, wrong)


def test_a_group_is_no_chord():
    assert chords(known(Known("a", group="g"), Known("top", children=(("a", "g"),))), {}) == []


def test_what_a_task_names():
    task = FAILED._replace(parent="up", bodies=("more",), children=(("c", "g"),))
    assert mentioned(task) == {"h2", "up", "more", "c"}
