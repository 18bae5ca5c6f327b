"""The classifier: what a message is within its canvas, from the headers and bodies that Celery's releases write."""

from __future__ import annotations

import pytest
from celery import Celery
from celery.app.task import Context

from celery_otel_links._rules.canvas import DEEPEST, UNLOCK, Publisher, next_id
from celery_otel_links._rules.facts import Message, Shape
from celery_otel_links._rules.message import incoming, outgoing
from celery_otel_links._rules.routes import rule_name, sent_kwargs

APP = Celery("shop", set_as_current=False)
ABSENT = object()
GROUP, BODY, MINE, NEXT = "gid", "body-id", "my-id", "next-id"


def signature(task="shop.add", subtask_type=None, kwargs=None, **options):
    return {"task": task, "args": [], "kwargs": kwargs or {}, "options": options, "subtask_type": subtask_type}


def publish(*, name="shop.add", embed=None, kwargs=None, current=None, task_id="id", **headers):
    """The facts of a message with protocol 2's layout."""
    headers = {"task": name, "id": task_id, "group": None, "retries": 0, "eta": None, "stamps": {}, **headers}
    headers = {key: value for key, value in headers.items() if value is not ABSENT}
    body = ((), kwargs or {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None, **(embed or {})})
    return outgoing(Message(name, headers, body, {}), current)


def inside(name="shop.parent", **request):
    """The task that publishes."""
    context = Context({"id": MINE, "retries": 0, **request})
    return Publisher.of(context, name, next_id(vars(context)))


CHORD = signature("shop.sums", task_id=BODY)
GROUP_BODY = signature("celery.group", "group", {"tasks": [signature(task_id="b1"), signature(task_id="b2")]})
CHAIN_BODY = signature("celery.chain", "chain", {"tasks": [signature(task_id="b1"), signature(task_id="b2")]})
CHORD_AS_BODY = signature(
    "celery.chord", "chord", {"header": [signature(task_id="h1")], "body": signature(task_id="b9")}
)
# At the call site, outside any task: what the headers and the embedded canvas say.
CALL_SITE = {
    "delay": ({}, Shape.SINGLE),
    "member of a group": ({"group": GROUP, "group_index": 0}, Shape.FAN_OUT),
    "member of a group, 5.2": ({"group": GROUP, "stamps": ABSENT}, Shape.FAN_OUT),
    "body of a chord without headers, 5.6": ({"group": GROUP}, Shape.SINGLE),
    "header of a chord": ({"group": GROUP, "group_index": 1, "embed": {"chord": CHORD}}, Shape.FAN_OUT),
    "first step of a chain": ({"embed": {"chain": [signature(task_id="2"), signature(task_id="1")]}}, Shape.SINGLE),
    "first step of a chain in a group": ({"embed": {"chain": [signature(group_id=GROUP)]}}, Shape.FAN_OUT),
    "first step of a chain in a chord": ({"embed": {"chain": [signature(chord=CHORD)]}}, Shape.FAN_OUT),
    "first step of a chain in a group that ends in a chord": (
        {"embed": {"chain": [signature("celery.chord", "chord", {"body": signature(group_id=GROUP)})]}},
        Shape.FAN_OUT,
    ),
    "first step of a chain in a group that ends in a chord with a chain as body": (
        {
            "embed": {
                "chain": [
                    signature(
                        "celery.chord",
                        "chord",
                        {
                            "body": signature(
                                "celery.chain", "chain", {"tasks": [signature(), signature(group_id=GROUP)]}
                            )
                        },
                    )
                ]
            }
        },
        Shape.FAN_OUT,
    ),
    "first step of a chain that ends in a chord": (
        {"embed": {"chain": [signature("celery.chord", "chord", {"body": signature(task_id=BODY)})]}},
        Shape.SINGLE,
    ),
    "chain before a group": ({"embed": {"chain": [signature("celery.group", "group")]}}, Shape.SINGLE),
    "with a callback": ({"embed": {"callbacks": [signature()]}}, Shape.SINGLE),
    "chunks": ({"name": "celery.starmap", "group": GROUP, "group_index": 2}, Shape.FAN_OUT),
    "map": ({"name": "celery.map"}, Shape.SINGLE),
    "chord_unlock": ({"name": UNLOCK, "kwargs": {"group_id": GROUP}}, Shape.PLUMBING),
    "an embed that is rubbish": ({"embed": {"chain": ["x"]}}, Shape.SINGLE),
}
# Inside a task: additionally what that task's request says.
INSIDE = {
    "a task of its own": ({}, {}, Shape.SINGLE),
    "a group of its own": ({"group": GROUP, "group_index": 0}, {}, Shape.FAN_OUT),
    "retry": ({"task_id": MINE, "retries": 1}, {}, Shape.RETRY),
    "retry of a member of a group": ({"task_id": MINE, "retries": 3, "group": GROUP}, {"retries": 2}, Shape.RETRY),
    "replacement": ({"task_id": MINE}, {}, Shape.REPLACEMENT),
    "replacement with the chord": ({"task_id": MINE, "group": GROUP, "embed": {"chord": CHORD}}, {}, Shape.REPLACEMENT),
    "replacement in a retry": ({"task_id": MINE, "retries": 0}, {"retries": 2}, Shape.REPLACEMENT),
    "body of a chord": ({"task_id": BODY}, {"chord": CHORD, "group": GROUP}, Shape.CHORD_BODY),
    "body of a chord, 5.6": ({"task_id": BODY, "group": GROUP}, {"chord": CHORD, "group": GROUP}, Shape.CHORD_BODY),
    "body known by its group": (
        {"task_id": "x", "group": GROUP},
        {"chord": signature(group_id=GROUP)},
        Shape.CHORD_BODY,
    ),
    "member of a group as body": ({"task_id": "b2"}, {"chord": GROUP_BODY}, Shape.CHORD_BODY),
    "first step of a chain as body": (
        {"task_id": "b1", "embed": {"chain": [CHORD]}},
        {"chord": CHAIN_BODY},
        Shape.CHORD_BODY,
    ),
    "header of a chord as body": (
        {"task_id": "h1", "group": "g2", "embed": {"chord": CHORD}},
        {"chord": CHORD_AS_BODY},
        Shape.CHORD_BODY,
    ),
    "what a header task publishes": ({}, {"chord": CHORD, "group": GROUP}, Shape.SINGLE),
    "a group that a header task publishes": (
        {"group": "g2", "group_index": 0},
        {"chord": CHORD, "group": GROUP},
        Shape.FAN_OUT,
    ),
    "next step of a chain": (
        {"task_id": NEXT},
        {"chain": [signature(task_id="last"), signature(task_id=NEXT)]},
        Shape.CHAIN_STEP,
    ),
    "last step of a chain in a group": (
        {"task_id": NEXT, "group": GROUP, "group_index": 0},
        {"chain": [signature(task_id=NEXT)]},
        Shape.CHAIN_STEP,
    ),
    "group after a chain": (
        {"group": GROUP, "group_index": 0},
        {"chain": [signature("celery.group", "group", task_id=NEXT)]},
        Shape.FAN_OUT,
    ),
    "callback": ({"name": "shop.log"}, {"callbacks": [signature("shop.log")]}, Shape.CALLBACK),
    "errback": ({"name": "shop.log"}, {"errbacks": [signature("shop.log")]}, Shape.CALLBACK),
    "two callbacks": (
        {"name": "shop.log", "group": GROUP, "group_index": 1},
        {"callbacks": [signature("shop.log")] * 2},
        Shape.CALLBACK,
    ),
    "two callbacks, 5.2": (
        {"name": "shop.log", "group": GROUP, "stamps": ABSENT},
        {"callbacks": [signature("shop.log")] * 2},
        Shape.CALLBACK,
    ),
    "errback in a group of its own": (
        {"name": "shop.log", "group": GROUP, "group_index": 0},
        {"errbacks": [signature("shop.log")]},
        Shape.CALLBACK,
    ),
    "errback of the body of a chord": (
        {"name": "shop.log", "group": GROUP, "group_index": 0},
        {"chord": signature("shop.sums", task_id=BODY, link_error=[signature("shop.log")])},
        Shape.CALLBACK,
    ),
    "more of them than there are callbacks": (
        {"name": "shop.log", "group": GROUP, "group_index": 2},
        {"callbacks": [signature("shop.log")] * 2},
        Shape.FAN_OUT,
    ),
    "a group after a task with a callback": (
        {"group": GROUP, "group_index": 0},
        {"callbacks": [signature("shop.log")]},
        Shape.FAN_OUT,
    ),
    "chord_unlock": ({"name": UNLOCK}, {"chord": CHORD}, Shape.PLUMBING),
    "canvas that is rubbish": ({}, {"chain": "x", "chord": "x", "callbacks": ["x"], "errbacks": [None]}, Shape.SINGLE),
    "chain that is rubbish": ({}, {"chain": [None], "chord": [1], "callbacks": {"x": 1}}, Shape.SINGLE),
}


@pytest.mark.parametrize(("message", "shape"), CALL_SITE.values(), ids=CALL_SITE)
def test_at_the_call_site(message, shape):
    assert publish(**message).shape is shape


@pytest.mark.parametrize(("message", "request_", "shape"), INSIDE.values(), ids=INSIDE)
def test_inside_a_task(message, request_, shape):
    assert publish(**message, current=inside(**request_)).shape is shape


def test_what_chord_unlock_publishes_is_the_body():
    assert publish(task_id="any", current=inside(UNLOCK)).shape is Shape.CHORD_BODY


def test_what_chord_unlock_publishes_instead_of_the_body_is_an_errback():
    body = signature("shop.sums", task_id=BODY, link_error=[signature("shop.log")])
    current = inside(UNLOCK, args=[GROUP, body])
    assert publish(name="shop.log", group="g2", group_index=0, current=current).shape is Shape.CALLBACK
    assert publish(name="shop.sums", task_id=BODY, current=current).shape is Shape.CHORD_BODY


def test_the_next_step_is_remembered_before_the_chain_is_popped():
    chain = [signature(task_id="last"), signature(task_id=NEXT)]
    current = inside(chain=chain)
    chain.clear()
    assert publish(task_id=NEXT, current=current).shape is Shape.CHAIN_STEP


@pytest.mark.parametrize(("depth", "chords"), [(0, (BODY,)), (1, (BODY,)), (DEEPEST - 1, (BODY,)), (DEEPEST, ())])
def test_the_chord_of_a_last_step_is_found_in_chains_of_chains_down_to_a_depth(depth, chords):
    last = signature("shop.last", chord=CHORD)
    for _ in range(depth):
        last = signature("celery.chain", "chain", {"tasks": [signature(), last]})
    assert publish(embed={"chain": [last]}).chords == chords


def test_protocol_1_keeps_everything_in_the_body():
    body = {"task": "shop.add", "id": "id", "taskset": GROUP, "group": GROUP, "retries": 2, "eta": None, "kwargs": {}}
    message = Message("shop.add", {}, body, {})
    facts = outgoing(message, None)
    assert (message.id, facts.retries, facts.shape) == ("id", 2, Shape.FAN_OUT)


@pytest.mark.parametrize("name", ["celery.map", "celery.starmap"])
@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [({"task": signature("shop.add"), "it": []}, "shop.add"), ({}, None), ({"task": "x"}, None), (None, None)],
)
def test_mappers_are_looked_up_under_the_name_of_the_task_they_run(name, kwargs, expected):
    assert rule_name(name, kwargs) == (expected or name)
    assert rule_name("shop.other", kwargs) == "shop.other"


@pytest.mark.parametrize(
    ("body", "kwargs"),
    [(((), {"a": 1}, {}), {"a": 1}), ([[], {"a": 1}, {}], {"a": 1}), ({"kwargs": {"a": 1}}, {"a": 1}), ("x", None)],
)
def test_keyword_arguments_are_found_with_both_protocols(body, kwargs):
    assert sent_kwargs(body) == kwargs


# What a worker takes for the member of a group where nobody stamped the message.
MEMBERS = {
    "member": ({"group": GROUP, "group_index": 0, "stamps": {}}, True),
    "header": ({"group": GROUP, "group_index": None, "stamps": {}, "chord": CHORD}, True),
    "body since 5.6": ({"group": GROUP, "group_index": None, "stamps": {}}, False),
    "member, 5.2": ({"group": GROUP, "group_index": None}, True),
    "no group": ({"group": None, "group_index": 3}, False),
}


@pytest.mark.parametrize(("fields", "expected"), MEMBERS.values(), ids=MEMBERS)
def test_a_worker_knows_the_members_of_a_group(fields, expected):
    assert incoming(Context({"id": "id", **fields}), "shop.add").fan_out is expected
