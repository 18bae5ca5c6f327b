"""The chords that a message is in, its header tasks, and their bodies: from what Celery's releases write."""

from __future__ import annotations

import pytest
from celery.app.task import Context

from celery_otel_links._rules.canvas import UNLOCK, header_task_ids
from celery_otel_links._rules.facts import Message
from celery_otel_links._rules.message import incoming, outgoing
from tests.unit.test_canvas import BODY, CHORD, GROUP, GROUP_BODY, publish, signature

OUTER = signature("shop.sums", task_id="outer")
INNER = signature("shop.sums", task_id="inner", chord=OUTER)
CHORDS = {
    "header": ({"chord": CHORD}, (BODY,)),
    "header of a chord with a group as body": ({"chord": GROUP_BODY}, ("b1",)),
    "chain as header": ({"chain": [signature(chord=CHORD), signature()]}, (BODY,)),
    "chain": ({"chain": [signature()]}, ()),
    "a body without an id": ({"chord": signature()}, (None,)),
    "chord as header": ({"chord": INNER}, ("inner", "outer")),
    "chain that ends in a chord as header": ({"chain": [signature(chord=INNER)]}, ("inner", "outer")),
    "chain as the body of a header": (
        {"chord": signature("celery.chain", "chain", {"tasks": [signature(task_id="b1"), INNER]}, task_id="c")},
        ("c", "outer"),
    ),
    "chord as the body of a header": (
        {"chord": signature("celery.chord", "chord", {"header": [], "body": INNER}, task_id="c")},
        ("c", "outer"),
    ),
    "the rest of a chain after the body of a header": (
        {"chord": signature(task_id="b1", chain=[INNER, signature()])},
        ("b1", "outer"),
    ),
    "rubbish": ({"chord": ["x"]}, (None,)),
}


@pytest.mark.parametrize(("embed", "keys"), CHORDS.values(), ids=CHORDS)
def test_chords_are_known_by_the_ids_of_their_bodies_from_the_innermost_to_the_outermost(embed, keys):
    assert publish(embed=embed).chords == keys
    assert incoming(Context({"id": "id", **embed}), "shop.add").chords == keys


def test_chords_in_chords_are_counted_to_a_limit():
    body = signature(task_id="endless")
    body["options"]["chord"] = body
    assert publish(embed={"chord": body}).chords == ("endless",) * 4


def test_chord_unlock_is_in_the_chord_that_it_unlocks():
    headers = {"task": UNLOCK, "id": "id", "stamps": {}}
    assert outgoing(Message(UNLOCK, headers, ((GROUP, INNER), {}, {}), {}), None).chords == ("inner", "outer")
    request = Context({"id": "id", "args": [GROUP, INNER]})
    assert incoming(request, UNLOCK).chords == ("inner", "outer")
    assert incoming(Context({"id": "id", "args": []}), UNLOCK).chords == ()


@pytest.mark.parametrize(
    ("fields", "group"),
    [
        ({"chord": CHORD, "group": GROUP}, GROUP),
        ({"group": GROUP}, None),
        ({"chord": CHORD}, None),
        ({"chain": [signature(chord=CHORD)], "group": GROUP}, None),
    ],
)
def test_only_what_the_body_waits_for_is_a_header_task(fields, group):
    assert incoming(Context({"id": "id", **fields}), "shop.add").header_of == group


RESULTS = {
    "tasks": ([(("h1", None), None), (("h2", ("p", None)), None)], ["h1", "h2"]),
    "a group among them": ([(("g", None), [(("h1", None), None)]), [["h2", None], None]], ["h1", "h2"]),
    "rubbish": ([None, "x", 7, [], [[]], [[7]]], []),
    "nothing": (None, []),
}


@pytest.mark.parametrize(("result", "ids"), RESULTS.values(), ids=RESULTS)
def test_chord_unlock_knows_the_header_tasks(result, ids):
    assert header_task_ids(Context({"id": "id", "kwargs": {"result": result}})) == ids
