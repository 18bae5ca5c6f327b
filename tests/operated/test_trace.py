"""`otel-links trace` says where a task's trace is, and which header task keeps a chord from its body."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import psutil
import pytest
from celery import Celery
from celery.app.task import Context

from tests.harness.recording import SpanFile
from tests.harness.waiting import until
from tests.harness.workers import REPOSITORY, Settings, environment, worker
from tests.lifecycle.collectors import silent

pytestmark = pytest.mark.slow
APP = "tests.operated.chord_app:app"


class Chords:
    """A worker of the application in `chord_app.py`, what publishes to it, and its spans."""

    def __init__(self, settings: Settings) -> None:
        self.environ = command_environment(settings)
        self.file = SpanFile(Path(settings.spans))
        self.app = Celery(broker=settings.broker, backend=settings.backend, set_as_current=False)
        self.app.conf.update(settings.conf)

    def close(self, third):
        """Publish a chord with this third header task, and wait until only that may not have ended."""
        publisher = self.app.send_task("chords.close", (third,))
        body = publisher.get(timeout=15)
        until(lambda: len(self.runs("chords.count")) == 2, what="the first two header tasks")
        return publisher.id, body

    def runs(self, name):
        return {span.message_id: span for span in self.file.spans() if span.name == f"run/{name}"}

    def meta(self, identifier):
        return self.app.backend.get_task_meta(identifier)


def command_environment(settings):
    return environment(settings, ready=Path(os.devnull), env={"COLUMNS": "200"})


def run(environ, *arguments):
    command = [sys.executable, "-m", "celery", "-A", APP, "otel-links", "trace", *arguments]
    return subprocess.run(command, env=environ, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


def traced(environ, identifier):
    done = run(environ, "--json", identifier)
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    return told, {one["id"]: one for one in told["tasks"]}


def settings_for(valkey_url, tmp_path, **conf):
    queue = f"chords-{uuid.uuid4().hex[:8]}"
    return Settings(valkey_url, valkey_url, str(tmp_path / "spans"), conf={"task_default_queue": queue, **conf})


@pytest.fixture
def start(valkey_url, tmp_path):
    """The worker with these settings, as a context manager, and the chords that run on it."""

    def started(**conf):
        settings = settings_for(valkey_url, tmp_path, **conf)
        queue = settings.conf["task_default_queue"]
        return worker(settings, app=APP, queues=(queue,), concurrency=3), Chords(settings)

    return started


@pytest.mark.parametrize("asked", ["the publisher", "the body", "a header task that went well"])
def test_a_header_task_that_failed_is_named_whoever_is_asked_about(start, asked):
    running, chords = start(result_extended=True)
    with running:
        publisher, body = chords.close("chords.broken")
        until(lambda: chords.meta(body)["status"] == "FAILURE", what="the end of the chord")
        counts = chords.runs("chords.count")
        ids = {"the publisher": publisher, "the body": body, "a header task that went well": min(counts)}
        told, tasks = traced(chords.environ, ids[asked])
        shown = run(chords.environ, ids[asked]).stdout
    (failed,) = chords.runs("chords.broken").values()
    (found,) = told["chords"]
    assert sorted(found["headers"]) == sorted([*counts, failed.message_id])
    assert found["wrong"] == [f"{failed.message_id} (chords.broken) ended as FAILURE: ValueError: till 3 is locked"]
    assert found["came"] is False
    assert found["bodies"] == ([body] if asked == "the body" else [])  # no result but its own names it
    assert {one: tasks[one]["trace"] for one in found["headers"]} == {
        run.message_id: run.trace for run in [failed, *counts.values()]
    }
    if asked == "the publisher":
        assert {tasks[one]["parent"] for one in found["headers"]} == {publisher}
    assert told["unknown"] == []
    assert f"{failed.message_id}  chords.broken  FAILURE at " in shown
    assert f"since  {failed.message_id} (chords.broken) ended as FAILURE" in shown


@pytest.mark.parametrize("asked", ["the publisher", "the body", "a header task that went well"])
def test_a_header_task_that_never_ends_is_named_whoever_is_asked_about(start, asked):
    running, chords = start()
    with running:
        publisher, body = chords.close("chords.endless")
        counts = chords.runs("chords.count")
        ids = {"the publisher": publisher, "the body": body, "a header task that went well": min(counts)}
        told, tasks = traced(chords.environ, ids[asked])
        (found,) = told["chords"]
        (endless,) = set(found["headers"]) - counts.keys()
        (wrong,) = found["wrong"]
        assert wrong.startswith(f"{endless} (chords.endless) has not ended: it has been running for ")
        assert (found["bodies"], found["came"]) == ([body], False)
        assert counts.keys() < set(found["headers"])
        assert tasks[endless]["parent"] == publisher
        assert any("result_extended" in text for text in told["unknown"])
    producers = [span for span in chords.file.spans() if span.message_id == endless]
    assert tasks[endless]["trace"] in {link.target[0] for span in producers for link in span.links}


def test_a_header_task_whose_worker_is_gone_is_named(start):
    running, chords = start()
    with running as alive:
        publisher, body = chords.close("chords.endless")
        until(lambda: len(traced(chords.environ, publisher)[0]["chords"][0]["headers"]) == 3, what="it has begun")
        for process in [*alive.children(), psutil.Process(alive.pid)]:
            process.send_signal(signal.SIGKILL)
        alive.wait()
        told, _ = traced(chords.environ, publisher)
    (found,) = told["chords"]
    (lost,) = set(found["headers"]) - chords.runs("chords.count").keys()
    assert found["wrong"] == [
        f"{lost} began and has left no result, and no worker that answers holds it: its worker may have died"
    ]
    assert "what workers hold: no worker has answered within 1 s" in told["unknown"]
    done = run(chords.environ, body)
    assert (done.returncode, done.stderr.strip()) == (1, f"Nothing is known of {body}.")


def test_a_chord_that_has_come_is_not_complained_of(start):
    running, chords = start(result_extended=True)
    with running:
        publisher = chords.app.send_task("chords.close", ("chords.count",))
        body = publisher.get(timeout=15)
        until(lambda: chords.meta(body)["status"] == "SUCCESS", what="the body")
        (from_above,) = traced(chords.environ, publisher.id)[0]["chords"]
        told, tasks = traced(chords.environ, body)
    assert told["chords"] == [{**from_above, "bodies": [body], "came": True}]
    assert (len(from_above["headers"]), from_above["wrong"]) == (3, [])
    assert tasks[body]["state"] == "SUCCESS"


def test_what_it_cannot_find_out_is_said(tmp_path):
    missing = Settings("redis://127.0.0.1:1/0", None, str(tmp_path / "spans"))
    done = run(command_environment(missing), "--json", "some-id")
    assert done.returncode == 1
    unknown = json.loads(done.stdout)["unknown"]
    assert unknown[0] == "results: the application has no result backend (result_backend)"
    assert unknown[1].startswith("what workers hold: the broker can't be reached: ")


def test_servers_that_take_connections_and_never_answer_keep_nobody(tmp_path):
    with silent() as url:
        address = url.replace("http", "redis").replace("/v1/traces", "/0")
        done = run(command_environment(Settings(address, address, str(tmp_path / "spans"))), "--json", "some-id")
    assert done.returncode == 1
    assert json.loads(done.stdout)["unknown"] == [
        "what workers hold: the broker can't be reached: no answer within 3 s",
        "results: the result backend can't be read: no answer within 3 s",
    ]


@pytest.mark.parametrize("backend", ["db+sqlite:///{}/results.db", "file://{}"])
def test_other_result_backends_say_what_they_hold(tmp_path, backend):
    settings = Settings("redis://127.0.0.1:1/0", backend.format(tmp_path), str(tmp_path / "spans"))
    app = Celery(backend=settings.backend, set_as_current=False)
    app.backend.store_result("some-id", ValueError("till 3 is locked"), "FAILURE", request=Context(parent_id="above"))
    told, tasks = traced(command_environment(settings), "some-id")
    assert (tasks["some-id"]["state"], tasks["some-id"]["error"]) == ("FAILURE", "ValueError: till 3 is locked")
    assert tasks["some-id"]["parent"] == (None if backend.startswith("db") else "above")
    assert any(text.startswith("who published whom") for text in told["unknown"]) == backend.startswith("db")


def test_the_trace_of_a_task_that_runs_is_read_from_its_message(start):
    running, chords = start()
    with running:
        trace = "0af7651916cd43dd8448eb211c80319c"
        sent = chords.app.send_task("chords.endless", (1,), headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})

        def known():
            done = run(chords.environ, "--json", sent.id)
            return done.returncode == 0 and json.loads(done.stdout)["tasks"]

        (task,) = until(known, what="the worker holds it")
    assert (task["name"], task["trace"]) == ("chords.endless", trace)
