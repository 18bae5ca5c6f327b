"""A collector that does not answer costs a worker's end `flush_timeout` and no more, and a task nothing."""

from __future__ import annotations

import contextlib
import signal
import time
from functools import partial

import psutil
import pytest

from tests.harness.waiting import until
from tests.lifecycle.collectors import COLLECTORS

pytestmark = pytest.mark.clock

TIMEOUT = 1.5
BUSY = 1.5  # what a busy machine may add to a stop, and Celery, which looks at some things once a second
STOPS = {"warm": signal.SIGTERM, "cold": signal.SIGQUIT}
EXPORTER_GIVES_UP = 10.0  # by itself, at the earliest: the default of OTEL_EXPORTER_OTLP_TIMEOUT
CASES = [
    ("prefork", "warm", "silent"),
    ("prefork", "cold", "silent"),
    ("prefork", "warm", "refusing"),
    ("prefork", "warm", "slow"),
    ("threads", "warm", "silent"),
    ("threads", "cold", "silent"),
    ("solo", "warm", "silent"),
    ("gevent", "warm", "silent"),
    ("eventlet", "warm", "silent"),
]


@pytest.fixture(scope="module")
def usual(open_site):
    """How long a worker takes to stop when spans are exported at once, by pool and kind of stop."""
    measured = {}

    def measure(pool, stop):
        if (pool, stop) not in measured:
            with open_site(pool) as site:
                run(site, 4)
                measured[pool, stop] = stop_of(site, stop)
        return measured[pool, stop]

    return measure


def run(site, times):
    """Run tasks one after the other. How long the slowest of them took."""
    took = []
    for _ in range(times):
        begun = time.monotonic()
        site.app.send_task("end.succeed").get(timeout=20)
        took.append(time.monotonic() - begun)
    return max(took)


def stop_of(site, stop):
    # A signal that interrupts Celery while it reads a result makes it wait thirty seconds for a lock of its own.
    site.app.control.ping(destination=[site.host], timeout=5)
    begun = time.monotonic()
    site.worker.stop(STOPS[stop], timeout=40)
    return time.monotonic() - begun


@pytest.mark.parametrize(("pool", "stop", "collector"), CASES)
def test_a_stop_takes_no_more_than_the_timeout_longer(open_site, usual, record_property, pool, stop, collector):
    allowed = usual(pool, stop) + TIMEOUT + BUSY
    with COLLECTORS[collector]() as endpoint:
        links = {"flush_timeout": TIMEOUT, "flush_interval": 0.05}
        with open_site(pool, told={"endpoint": endpoint}, otel_links=links) as site:
            slowest = run(site, 20)
            took = stop_of(site, stop)
    record_property("slowest task", slowest)
    record_property("stop", took)
    record_property("usual stop", usual(pool, stop))
    assert slowest < BUSY, "a task waited for the collector"
    assert took < allowed < EXPORTER_GIVES_UP


@pytest.mark.parametrize("task", ["succeed", "exit_gently"])
def test_a_process_that_goes_takes_no_more_than_the_timeout_longer(open_site, record_property, task):
    """Also after `sys.exit`, where both the end of the task and the end of its process flush."""
    took = {}
    for collector in (None, "silent"):
        with contextlib.ExitStack() as stack:
            told = {"endpoint": stack.enter_context(COLLECTORS[collector]())} if collector else {}
            options = {"args": ("--max-tasks-per-child", "1"), "otel_links": {"flush_timeout": TIMEOUT}}
            site = stack.enter_context(open_site("prefork", told=told, concurrency=1, **options))
            (child,) = site.worker.children()
            begun = time.monotonic()
            site.app.send_task(f"end.{task}")
            until(partial(gone, child), what="the end of the process")
            took[collector] = time.monotonic() - begun
    record_property("seconds", took)
    assert took["silent"] < took[None] + TIMEOUT + BUSY


def gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
