"""`celery -A shop otel-links watch` on real brokers: what it sees, what it can't know, and that it takes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
import redis
from celery import Celery
from opentelemetry.sdk.trace import TracerProvider

from celery_otel_links import CeleryLinksInstrumentor
from tests.harness import processes, servers
from tests.harness.needs import needs
from tests.harness.waiting import until
from tests.harness.workers import Settings, environment, worker
from tests.lifecycle.brokers import restartable
from tests.metrics.told import VARIABLE

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "celery", "-A", "tests.operated.watched_app:app", "otel-links", "watch"]


class Site:
    """A broker with a queue of its own, and the command."""

    def __init__(self, broker, conf=None, **env):
        self.queue = f"watched-{uuid.uuid4().hex[:8]}"
        self.settings = Settings(broker=broker, conf={"task_default_queue": self.queue, **(conf or {})})
        self.env = environment(self.settings, ready=Path(os.devnull), env=env)

    def publish(self, count):
        with Celery("watched", broker=self.settings.broker, set_as_current=False) as app:
            app.conf.update(self.settings.conf)
            for _ in range(count):
                app.send_task("shop.plain")

    def run(self, *args):
        return subprocess.run([*COMMAND, *args], env=self.env, capture_output=True, text=True, timeout=60)

    def once(self, *args):
        """What it prints of each queue."""
        done = self.run("--once", "--json", *args)
        assert done.returncode == 0, done.stdout + done.stderr
        return {row.pop("queue"): row for row in json.loads(done.stdout)["queues"]}

    def row(self):
        return self.once()[self.queue]


@pytest.fixture(autouse=True)
def _stamped():
    """What is published here has our header."""
    CeleryLinksInstrumentor().instrument(tracer_provider=TracerProvider())
    yield
    CeleryLinksInstrumentor().uninstrument()


def files(tmp_path):
    folders = {name: tmp_path / name for name in ("messages", "control", "processed")}
    for folder in folders.values():
        folder.mkdir()
    options = {f"data_folder_{way}": str(folders["messages"]) for way in ("in", "out")}
    options |= {f"{name}_folder": str(folders[name]) for name in ("control", "processed")}
    return Site("filesystem://", {"broker_transport_options": options})


@pytest.fixture(params=["valkey", "valkey with a prefix", "rabbitmq", "sqlite", "files"])
def site(request, tmp_path):
    """A site on each broker, and what nobody can know there."""
    kind = request.param
    if kind == "rabbitmq":
        url = request.getfixturevalue("rabbitmq_url")
        made = Site(url)
        yield made, {"oldest_age"}
        servers.delete_queues(url, (made.queue,))
    elif kind == "sqlite":
        needs(__import__("importlib.util").util.find_spec("sqlalchemy"), "sqlalchemy")
        yield Site(f"sqla+sqlite:///{tmp_path}/broker.sqlite"), {"consumers"}
    elif kind == "files":
        yield files(tmp_path), {"consumers"}
    else:
        prefix = {"broker_transport_options": {"global_keyprefix": "shop:"}} if "prefix" in kind else {}
        yield Site(request.getfixturevalue("valkey_url"), prefix), set()


def test_depth_and_age_are_seen_and_nothing_is_taken(site):
    site, unknown = site
    begun = time.time()
    site.publish(3)
    for _ in range(2):
        row = site.row()
        assert row["depth"] == 3
        assert {name for name, value in row.items() if value is None} == unknown
        if "oldest_age" not in unknown:
            assert 0 < row["oldest_age"] < time.time() - begun
        if "consumers" not in unknown:
            assert row["consumers"] == 0


def test_a_queue_that_is_not_there_has_no_depth_and_is_not_made(rabbitmq_url, tmp_path):
    for made in (Site(rabbitmq_url), Site(f"sqla+sqlite:///{tmp_path}/broker.sqlite")):
        for _ in range(2):
            assert made.row() == {"depth": None, "oldest_age": None, "consumers": None}


@pytest.mark.parametrize("broker", ["valkey_url", "rabbitmq_url"])
def test_a_queue_that_a_worker_consumes_is_found_with_its_consumer(request, broker, tmp_path):
    url = request.getfixturevalue(broker)
    made, other = Site(url), f"other-{uuid.uuid4().hex[:8]}"
    shop = Settings(broker=url, spans=str(tmp_path / "spans.jsonl"), conf=made.settings.conf)
    with worker(shop, queues=(other,), concurrency=1):
        found = made.once()
        assert found[other]["depth"] == 0
        assert found[other]["consumers"] == 1
        assert found[made.queue]["consumers"] in (0, None)
    if broker == "rabbitmq_url":
        servers.delete_queues(url, (other, made.queue))


def test_the_priorities_of_redis_are_one_queue_as_old_as_its_oldest_message(valkey_url):
    made, now = Site(valkey_url), time.time()

    def put(key, seconds=None):
        headers = {} if seconds is None else {"celery-otel-links": f"v=1;t={now - seconds:.6f}"}
        client.lpush(key, json.dumps({"body": "", "headers": headers, "properties": {}}))

    with redis.Redis.from_url(valkey_url) as client:
        for key, seconds in ((made.queue, 500), (f"{made.queue}\x06\x166", 1000), (f"{made.queue}\x06\x166", 100)):
            put(key, seconds)
        row = made.row()
        assert row["depth"] == 3
        assert 1000 <= row["oldest_age"] <= 1000 + time.time() - now
        put(f"{made.queue}\x06\x169")
        row = made.row()
        assert (row["depth"], row["oldest_age"]) == (4, None)


def test_queues_can_be_named(valkey_url):
    made = Site(valkey_url)
    assert {"bulk", "mail", made.queue} <= set(made.once("--queues", "bulk,mail"))


@contextlib.contextmanager
def running(site, directory, *args):
    process = processes.start([*COMMAND, *args], directory=directory, env=site.env)
    yield process
    processes.end(process)


def exported(path):
    """What the last collection held of each queue's depth."""
    lines = path.read_text().splitlines() if path.exists() else []
    points = json.loads(lines[-1]) if lines else []
    return {dict(one["labels"])["messaging.destination.name"]: one["count"] for one in points if "depth" in one["name"]}


def test_a_broker_that_goes_away_leaves_no_stale_value_and_is_seen_again(tmp_path):
    with restartable(tmp_path) as broker:
        path = tmp_path / "metrics.jsonl"
        made = Site(broker.url, **{VARIABLE: json.dumps({"file": str(path)})})
        made.publish(2)
        out = tmp_path / "out"
        out.mkdir()
        with running(made, out, "--interval", "1") as process:
            until(lambda: exported(path).get(made.queue) == 2, what=lambda: (out / "stderr").read_text())
            broker.end()
            until(lambda: exported(path) == {}, what="a collection without values")
            broker.restart()
            made.publish(1)
            until(lambda: exported(path).get(made.queue) == 3, what=lambda: (out / "stderr").read_text())
            said = (out / "stderr").read_text().splitlines()
            assert said[0].startswith(("the broker does not answer", "the broker did not answer"))
            assert said[-1] == "the broker answers again"
            process.terminate()
            assert process.wait(20) == 0


def test_a_broker_that_hangs_costs_no_more_than_the_interval():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = Site(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        done = made.run("--once", "--interval", "1")
    assert done.returncode == 1
    assert "the broker d" in done.stderr


@pytest.mark.parametrize(("name", "text"), [("none", "names no exporter"), ("smoke", "no exporter of metrics called")])
def test_without_a_provider_and_an_exporter_it_says_so(valkey_url, name, text):
    done = Site(valkey_url, OTEL_METRICS_EXPORTER=name).run()
    assert done.returncode == 1
    assert text in done.stderr


def test_without_a_provider_the_environment_says_where_metrics_go(valkey_url, tmp_path):
    made = Site(valkey_url, OTEL_METRICS_EXPORTER="console", OTEL_METRIC_EXPORT_INTERVAL="200")
    with running(made, tmp_path, "--interval", "1"):
        until(lambda: "celery.queue.depth" in (tmp_path / "stdout").read_text(), what="an export to the console")
