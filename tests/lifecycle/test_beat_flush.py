"""What beat has published last is exported before it ends, alone or embedded in a worker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import uuid

import pytest
import redis

from tests.harness import processes
from tests.harness.dangling import dangling
from tests.harness.recording import collected
from tests.harness.waiting import until
from tests.harness.workers import Settings, environment
from tests.lifecycle.collectors import silent

APP = "tests.lifecycle.beat_app:app"
TICKS = 5
TIMEOUT = 1.0
BUSY = 3.0  # what a busy machine may add to a stop
GIVES_UP = 10.0  # the exporter by itself, at the earliest


def test_the_beat_in_a_worker_exports_what_it_has_published(open_site):
    with open_site("prefork", app=APP, args=("--beat",), concurrency=1) as site:
        until(lambda: site.worker.stderr.count("succeeded") >= TICKS, what=lambda: site.worker.stderr[-3000:])
        site.worker.stop(signal.SIGTERM, timeout=30)
        spans = site.spans()
        assert sum(span.kind == "CONSUMER" for span in spans) >= TICKS
        assert dangling(spans) == []
        assert site.complaints() == []


@contextlib.contextmanager
def beat(url, directory, told):
    """A beat of its own process, which has published a few messages; and the queue in which they are."""
    queue = f"beat-{uuid.uuid4().hex[:8]}"
    links = {"flush_timeout": TIMEOUT}
    settings = Settings(
        broker=url, spans=str(directory / "spans"), conf={"task_default_queue": queue}, otel_links=links
    )
    env = environment(settings, ready=directory / "beat-ready", env={"OTEL_LINKS_TEST_LIFECYCLE": json.dumps(told)})
    argv = [sys.executable, "-m", "celery", "-A", APP, "beat", "--pidfile=", "--loglevel=INFO"]
    process = processes.start(argv, directory=directory, env=env)
    try:
        with redis.Redis.from_url(url) as client:
            until(lambda: client.llen(queue) >= TICKS, what=lambda: (directory / "stderr").read_text()[-3000:])
            yield process, lambda: client.llen(queue)
    finally:
        processes.end(process)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_beat_exports_what_it_has_published(valkey_url, tmp_path, signum):
    with beat(valkey_url, tmp_path, {}) as (process, published):
        os.kill(process.pid, signum)
        process.wait(20)
        assert sum(span.kind == "PRODUCER" for span in collected(tmp_path / "spans")) == published()


def test_a_collector_that_does_not_answer_does_not_hold_up_the_end_of_beat(valkey_url, tmp_path):
    with silent() as endpoint, beat(valkey_url, tmp_path, {"endpoint": endpoint}) as (process, _):
        begun = time.monotonic()
        process.terminate()
        process.wait(40)
        assert time.monotonic() - begun < TIMEOUT + BUSY


def stop_of_a_worker_with_beat(open_site, told):
    """How long it takes, in seconds."""
    links = {"flush_timeout": TIMEOUT}
    with open_site("prefork", app=APP, told=told, args=("--beat",), otel_links=links, concurrency=1) as site:
        until(lambda: site.worker.stderr.count("succeeded") >= TICKS, what=lambda: site.worker.stderr[-3000:])
        begun = time.monotonic()
        site.worker.stop(signal.SIGTERM, timeout=40)
        return time.monotonic() - begun


def test_a_collector_that_does_not_answer_does_not_hold_up_the_beat_in_a_worker(open_site, record_property):
    usual = stop_of_a_worker_with_beat(open_site, {})
    with silent() as endpoint:
        took = stop_of_a_worker_with_beat(open_site, {"endpoint": endpoint})
    record_property("usual", usual)
    record_property("took", took)
    assert took < usual + TIMEOUT + BUSY < GIVES_UP
