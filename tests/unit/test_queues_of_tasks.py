"""To which queue a task is published, as the doctor and `explain` know it without publishing."""

from __future__ import annotations

import pytest
from celery import Celery
from celery.exceptions import QueueNotFound
from kombu import Exchange, Queue

from celery_otel_links.cli.tasks import queue_of

QUEUES = [
    Queue("default", Exchange("default"), "default"),
    Queue("media", Exchange("media", type="topic"), "media.#"),
    Queue("direct", Exchange("direct exchange"), "key"),
]
ROWS = [
    ({}, {}, "default"),
    ({"queue": "media"}, {}, "media"),
    ({"queue": "own"}, {}, "own"),
    ({"queue": "own"}, {"work": {"queue": "media"}}, "own"),
    ({"routing_key": "key"}, {}, "default"),
    ({}, {"work": {"queue": "media"}}, "media"),
    ({}, {"*": {"exchange": "media", "routing_key": "media.video.short"}}, "media"),
    ({}, {"*": {"exchange": "direct exchange", "routing_key": "key"}}, "direct"),
    ({"exchange": "direct exchange", "routing_key": "key"}, {}, "direct"),
    ({}, {"*": {"exchange": "direct exchange", "routing_key": "another"}}, None),
    ({}, {"*": {"exchange": "elsewhere", "routing_key": "key"}}, None),
]


def app(**conf):
    made = Celery("queues", broker="memory://", set_as_current=False)
    made.conf.update(task_default_queue="default", task_queues=QUEUES, **conf)
    return made


def work():
    pass


@pytest.mark.filterwarnings(r"ignore:\s*The '\w+' task attribute is deprecated")  # and people have them
@pytest.mark.parametrize(("own", "routes", "queue"), ROWS)
def test_the_queue_is_that_to_which_celery_publishes(own, routes, queue):
    shop = app(task_routes=routes)
    task = shop.task(name="work", shared=False, **own)(work)
    assert queue_of(shop, "work") == queue
    if queue is not None:
        with shop.connection_for_write() as connection:
            for one in [*QUEUES, Queue("own")]:
                one(connection.default_channel).declare()
                one(connection.default_channel).purge()
        task.apply_async()
        with shop.connection_for_write() as connection:
            assert connection.default_channel.queue_declare(queue, passive=True).message_count == 1


def test_a_queue_that_may_not_be_made_is_an_error():
    shop = app(task_create_missing_queues=False, task_routes={"work": {"queue": "own"}})
    shop.task(name="work", shared=False)(work)
    with pytest.raises(QueueNotFound):
        queue_of(shop, "work")
