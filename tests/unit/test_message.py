"""Facts of messages, read from plain dicts as every version and broker lays them out, and from rubbish."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.app.task import Context
from hypothesis import given
from hypothesis import strategies as st
from kombu import Exchange, Queue

from celery_otel_links._rules.facts import PLAIN_IN, PLAIN_OUT, Incoming, Message, Outgoing, Route, Shape
from celery_otel_links._rules.message import incoming, outgoing
from celery_otel_links._rules.request import header, received_at, unstarted
from celery_otel_links._rules.routes import route_in, route_out
from tests.unit.strategies import anything

APP = Celery("shop", set_as_current=False)


ROUTES = {
    "a queue of its own": (
        Exchange("shop", "topic"),
        "bulk.mail",
        [Queue("bulk", Exchange("shop", "topic"))],
        ("bulk", "shop", "bulk.mail", "topic"),
    ),
    "the default queue": ("", "celery", [Queue("celery", Exchange("celery"))], ("celery", "", "celery", "queue")),
    "no declaration": ("", "celery", None, ("celery", "", "celery", None)),
    "a fanout": ("news", "", [Queue("all", Exchange("news", "fanout"))], ("all", "news", "", None)),
    "native delayed delivery": (
        Exchange("celery_delayed_27", "topic"),
        "0." * 27 + "1.bulk",
        None,
        ("bulk", "celery_delayed_27", "bulk", None),
    ),
    "nothing known": (None, None, [], ("", "", "", None)),
}


@pytest.mark.parametrize(("exchange", "key", "declare", "expected"), ROUTES.values(), ids=ROUTES)
def test_where_a_message_goes(exchange, key, declare, expected):
    message = Message("shop.add", {"id": "1"}, ((), {}, {}), {}, exchange, key, declare)
    assert route_out(message, "shop.rules") == Route("shop.add", "shop.rules", *expected)


@pytest.mark.parametrize(
    ("info", "queue", "exchange"),
    [
        ({"routing_key": "bulk", "exchange": "shop", "redelivered": None}, "bulk", "shop"),
        ({"routing_key": "0." * 27 + "1.bulk", "exchange": "celery_delayed_27"}, "bulk", "celery_delayed_27"),
        ({"routing_key": "0." * 28}, "0." * 28, ""),
        ({"is_eager": True}, "", ""),
        ({"routing_key": 7, "exchange": b"x"}, "7", "b'x'"),
        ({}, "", ""),
    ],
)
def test_where_a_message_came_from(info, queue, exchange):
    found = route_in("shop.add", "shop.rules", info, {})
    assert found == Route("shop.add", "shop.rules", queue, exchange, queue)


QUEUES = {"celery": "celery", "bulk": "bulk.*.mail", "all": "news.#", "any": "#.log", "two": "two.key", "2": "two.key"}


@pytest.mark.parametrize(
    ("routing_key", "queue"),
    [
        ("celery", "celery"),
        ("bulk.eu.mail", "bulk"),
        ("bulk.eu.at.mail", "bulk.eu.at.mail"),  # a star is one word
        ("bulk..mail", "bulk..mail"),
        ("news", "all"),
        ("news.eu", "all"),
        ("news.eu.at", "all"),
        ("newsletter", "newsletter"),
        ("log", "any"),
        ("shop.eu.log", "any"),
        ("news.log", "news.log"),  # it may have come through either
        ("two.key", "two.key"),
        ("bulk", "bulk"),  # the name of a queue
        ("other", "other"),
        ("", ""),
        ("bulk.e+u.mail", "bulk"),
    ],
)
def test_the_queue_that_a_routing_key_came_through_is_found_where_there_is_one(routing_key, queue):
    info = {"routing_key": routing_key, "exchange": "shop"}
    assert route_in("shop.add", "shop.add", info, QUEUES) == Route("shop.add", "shop.add", queue, "shop", routing_key)


@pytest.mark.parametrize("binding", [None, 7, "", "(", "#"])
def test_any_binding_is_read(binding):
    expected = "strange" if binding == "#" else "a.b"
    assert route_in("a", "a", {"routing_key": "a.b"}, {"strange": binding}).queue == expected


@pytest.mark.parametrize(
    ("fields", "redelivered", "second"),
    [
        ({"delivery_info": {"redelivered": True}}, True, True),
        ({"delivery_info": {"redelivered": False}}, False, False),
        ({"delivery_info": {"redelivered": None}}, False, False),
        ({"delivery_info": None}, False, False),
        ({"celery-otel-links-second": True}, False, True),
    ],
)
def test_a_second_delivery_is_known_by_the_broker_or_the_worker(fields, redelivered, second):
    facts = incoming(Context({"id": "1", **fields}), "shop.add")
    assert (facts.redelivered, facts.second) == (redelivered, second)


@pytest.mark.parametrize(
    ("received", "expected"),
    [(1.5, 1.5), (None, None), ("1.5", None), (0.0, None), (-1.0, None), (1e11, None), (float("nan"), None), (7, None)],
)
def test_the_time_of_receipt_is_what_the_main_process_has_put_there(received, expected):
    assert received_at(Context({"id": "1", "celery-otel-links-received": received})) == expected


@pytest.mark.parametrize("body", [None, b"", "text", (), ((), {})])
def test_a_body_of_no_protocol_has_no_canvas_and_hides_no_header(body):
    message = Message("shop.add", {"id": "1", "retries": 2, "group": "g"}, body, {}, "", "celery", None)
    assert outgoing(message, None) == Outgoing(Shape.FAN_OUT, retries=2)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"x-tenant": "42"}, "42"),
        ({"headers": {"x-tenant": "42"}}, "42"),
        ({"x-tenant": "42", "headers": {"x-tenant": "43"}}, "42"),
        ({"headers": None}, None),
        ({"headers": ["x-tenant"]}, None),
        ({"headers": "x-tenant"}, None),
    ],
)
def test_a_header_is_found_wherever_this_celery_keeps_it(fields, expected):
    assert header(Context({"id": "1", **fields}), "x-tenant") == expected


ETA = "2026-07-01T12:00:00+00:00"
SPECIAL = {  # what makes a message anything but plain, for its publisher and for the worker
    "group": {"group": "gid", "group_index": 0},
    "retries": {"retries": 1},
    "eta": {"eta": ETA},
    "chord": {"chord": {"task": "shop.sums", "options": {"task_id": "body"}}},
    "chain": {"chain": [{"task": "shop.sums", "options": {"task_id": "next", "group_id": "gid"}}]},
}


def sent(**fields):
    embed = {key: fields.pop(key, None) for key in ("chain", "chord")}
    return Message("shop.add", {"id": "1", "retries": 0, "eta": None, **fields}, ((), {}, embed), {})


@pytest.mark.parametrize("fields", SPECIAL.values(), ids=SPECIAL)
def test_what_is_special_about_a_message_is_seen_on_both_sides(fields):
    assert outgoing(sent(**fields), None) != PLAIN_OUT
    assert incoming(Context({"id": "1", **fields}), "shop.add") != PLAIN_IN


def test_a_message_without_anything_special_is_plain_on_both_sides():
    assert outgoing(sent(), None) is PLAIN_OUT
    assert outgoing(sent(eta=None, group_index=None, expires=ETA, timelimit=[1, 2]), None) is PLAIN_OUT
    fields = {"eta": None, "retries": 0, "delivery_info": {"redelivered": False, "routing_key": "celery"}}
    assert incoming(Context({"id": "1", **fields}), "shop.add") is PLAIN_IN


@pytest.mark.parametrize("name", ["celery.map", "celery.starmap", "celery.chunks", "celery.chord_unlock"])
def test_the_tasks_that_celery_has_for_a_canvas_are_never_plain(name):
    assert outgoing(sent()._replace(name=name), None) is not PLAIN_OUT
    assert incoming(Context({"id": "1"}), name) is not PLAIN_IN


def test_an_eager_task_and_the_group_of_a_header_task_are_facts():
    assert incoming(Context({"id": "1", "is_eager": True}), "shop.add") == Incoming(eager=True)
    facts = incoming(Context({"id": "1", **SPECIAL["chord"], **SPECIAL["group"]}), "shop.add")
    assert (facts.header_of, facts.chords, facts.fan_out) == ("gid", ("body",), True)
    assert incoming(Context({"id": "1", **SPECIAL["chain"]}), "shop.add").next_id == "next"


PROTOCOL_1 = {"id": "1", "task": "shop.add", "eta": ETA}


@pytest.mark.parametrize(
    ("fields", "payload"), [({"id": "1", "eta": ETA}, None), ({}, PROTOCOL_1)], ids=["protocol 2", "protocol 1"]
)
def test_a_bare_message_is_read_like_a_request(fields, payload):
    bare = SimpleNamespace(payload=payload, delivery_info={"routing_key": "bulk"}, properties={"priority": 3})
    request = unstarted(fields, message=bare)
    assert (request.id, request.eta, request.delivery_info, request.priority) == ("1", ETA, {"routing_key": "bulk"}, 3)


def test_a_bare_message_that_cannot_be_decoded_has_what_its_headers_say():
    class Broken:
        @property
        def payload(self):
            raise ValueError("rubbish")

    request = unstarted({"traceparent": "x"}, message=Broken())
    assert (request.id, request.traceparent) == (None, "x")


names = st.sampled_from(
    [
        "retries",
        "eta",
        "group",
        "group_index",
        "chord",
        "chain",
        "callbacks",
        "errbacks",
        "is_eager",
        "stamps",
        "id",
        "args",
        "celery-otel-links-received",
        "celery-otel-links-second",
    ]
)
tasks = st.sampled_from(["shop.add", "celery.map", "celery.chord_unlock"])


@given(st.dictionaries(names, anything), tasks)
def test_no_field_of_a_request_makes_reading_it_raise(fields, name):
    request = Context({"id": "1", **fields})
    facts = incoming(request, name)
    assert isinstance(facts.retries, int)
    assert facts.retries >= 0
    assert received_at(request) is None or received_at(request) > 0
