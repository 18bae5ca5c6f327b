"""Pools of processes that are not Celery's own prefork pool, or do not fork: nothing is lost in them either."""

from __future__ import annotations

import signal

import celery
import pytest
from celery.concurrency import get_available_pool_names

from tests.harness.waiting import until

LOST = ("FAILURE", "billiard.exceptions.WorkerLostError")
ENDS = {
    "end.succeed": ("SUCCESS", None),
    "end.fail": ("FAILURE", "ValueError"),
    "end.exit_gently": ("FAILURE", "SystemExit"),
    "end.exit_at_once": LOST,
    "end.kill_itself": LOST,
    "end.overrun": ("FAILURE", "billiard.exceptions.TimeLimitExceeded"),
}


def every_end(site):
    """Plays them, one after the other, and stops the worker. What the spans say of each."""
    ids = {}
    for name in ENDS:
        result = site.app.send_task(name)
        ids[result.id] = name
        until(result.ready, what=lambda name=name: f"the end of {name}: {site.worker.stderr[-3000:]}", timeout=30)
    site.worker.stop(signal.SIGTERM, timeout=30)
    runs = [span for span in site.spans() if span.kind == "CONSUMER"]
    assert site.complaints() == []
    return sorted(
        (ids[run.message_id], run.attributes["celery.state"], run.attributes.get("error.type")) for run in runs
    )


EXPECTED = sorted((name, state, error) for name, (state, error) in ENDS.items())


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="before Celery 5.7 every pool forks")
def test_a_pool_that_spawns_loses_nothing(open_site):
    conf = {"worker_pool_start_method": "spawn", "include": ["tests.lifecycle.app"]}
    with open_site("prefork", conf=conf, concurrency=1) as site:
        assert every_end(site) == EXPECTED


@pytest.mark.skipif("custom" not in get_available_pool_names(), reason="this Celery takes no pool of one's own")
def test_a_pool_that_is_made_of_the_prefork_pool_loses_nothing(open_site):
    env = {"CELERY_CUSTOM_WORKER_POOL": "tests.lifecycle.own_pool:OwnPool"}
    with open_site("custom", env=env, concurrency=1) as site:
        assert every_end(site) == EXPECTED
