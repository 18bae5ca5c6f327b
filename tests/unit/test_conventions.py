"""Which conventions are emitted, and the broker of an app as the messaging conventions name it."""

from __future__ import annotations

import pytest
from celery import Celery

from celery_otel_links._config.conventions import Broker, Style, broker_of


@pytest.mark.parametrize(
    ("opted", "contrib_names", "expected"),
    [
        ("", False, Style(current_names=False, contrib_names=False)),
        ("", True, Style(current_names=False, contrib_names=True)),
        ("http", False, Style(current_names=False, contrib_names=False)),
        ("messaging", False, Style(current_names=True, contrib_names=False)),
        ("messaging", True, Style(current_names=True, contrib_names=True)),
        ("http, messaging", False, Style(current_names=True, contrib_names=False)),
        ("messaging/dup", False, Style(current_names=True, contrib_names=True)),
        ("messaging,messaging/dup", False, Style(current_names=True, contrib_names=True)),
    ],
)
def test_which_conventions_are_emitted(opted, contrib_names, expected):
    assert Style.of(contrib_names, {"OTEL_SEMCONV_STABILITY_OPT_IN": opted}) == expected


BROKERS = {
    "redis://:secret@shop.example:6380/0": Broker("redis", "shop.example", 6380),
    "rediss://shop.example": Broker("redis", "shop.example"),
    "valkey://shop.example": Broker("redis", "shop.example"),
    "sentinel://a:26379;sentinel://b:26379": Broker("redis", "a", 26379),
    "amqp://guest@shop.example:5672//": Broker("rabbitmq", "shop.example", 5672),
    "pyamqp://": Broker("rabbitmq"),
    "sqs://": Broker("aws_sqs"),
    "sqla+sqlite:///x.db": Broker("sqla"),
    "memory://": Broker("memory"),
    "redis+socket:///tmp/redis.sock": Broker("redis"),
}


@pytest.mark.parametrize(("url", "expected"), BROKERS.items())
def test_the_broker_of_an_app_as_the_conventions_name_it(url, expected):
    app = Celery(broker=url, set_as_current=False)
    assert broker_of(app, publishing=True) == broker_of(app, publishing=False) == expected


def test_an_app_may_read_from_another_broker_than_it_writes_to():
    app = Celery(broker="memory://", set_as_current=False)
    app.conf.update(broker_write_url="redis://there", broker_read_url="amqp://here")
    assert broker_of(app, publishing=True) == Broker("redis", "there")
    assert broker_of(app, publishing=False) == Broker("rabbitmq", "here")
