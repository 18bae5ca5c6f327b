"""Facts of messages, read from plain dicts as every version and broker lays them out, and from rubbish."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.app.task import Context
from hypothesis import given
from hypothesis import strategies as st
from kombu import Exchange, Queue

from celery_otel_links._rules.message import Route, header, incoming, outgoing, route
from tests.unit.strategies import anything

APP = Celery("shop", set_as_current=False)


def message(name="shop.add"):
    return outgoing(name, {"id": "1"}, ((), {}, {}), {}, None, APP)


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
    "nothing known": (None, None, [], ("", "", "", None)),
}


@pytest.mark.parametrize(("exchange", "key", "declare", "expected"), ROUTES.values(), ids=ROUTES)
def test_where_a_message_goes(exchange, key, declare, expected):
    assert route(message(), exchange, key, declare) == Route("shop.add", "shop.add", *expected)


@pytest.mark.parametrize(
    ("info", "queue", "exchange"),
    [
        ({"routing_key": "bulk", "exchange": "shop", "redelivered": None}, "bulk", "shop"),
        ({"routing_key": "0." * 27 + "1.bulk", "exchange": "celery_delayed_27"}, "bulk", "celery_delayed_27"),
        ({"routing_key": "0." * 28}, "0." * 28, ""),
        ({"is_eager": True}, "", ""),
        (None, "", ""),
        ({}, "", ""),
    ],
)
def test_where_a_message_came_from(info, queue, exchange):
    fact = incoming(Context({"id": "1", "delivery_info": info}), "shop.add", {}, APP)
    assert (fact.queue, fact.exchange) == (queue, exchange)


@pytest.mark.parametrize(("redelivered", "expected"), [(True, True), (False, False), (None, False)])
def test_redelivery(redelivered, expected):
    request = Context({"id": "1", "delivery_info": {"redelivered": redelivered}})
    assert incoming(request, "shop.add", {}, APP).redelivered is expected


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


names = st.sampled_from(
    ["retries", "eta", "group", "group_index", "chord", "chain", "callbacks", "errbacks", "is_eager", "stamps", "id"]
)


@given(st.dictionaries(names, anything), anything)
def test_no_field_of_a_request_makes_reading_it_raise(fields, kwargs):
    fact = incoming(Context({"id": "1", **fields}), "celery.map", kwargs, SimpleNamespace(timezone=None))
    hash((fact.name, fact.rule_name, fact.exchange, fact.queue))
    assert isinstance(fact.retries, int)
    assert fact.retries >= 0
