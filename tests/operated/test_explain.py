"""`otel-links explain` says what the run spans say, since it asks whoever decides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from celery import group

from tests.harness.recording import SpanFile
from tests.harness.waiting import until
from tests.harness.workers import REPOSITORY, Settings, environment, worker

pytestmark = pytest.mark.slow
APP = "tests.operated.example_app:app"
TASKS = ["charge", "close_books", "count_till", "index_product", "letter", "offer_voucher", "read_photo"]
TASKS = [f"shop.{name}" for name in [*TASKS, "rebuild_index", "receipt", "refund", "remind", "report", "ship"]]
# How a task is published, and the options with which `explain` is asked about it.
WAYS = {
    "alone": (lambda task: task.apply_async(), ()),
    "in a group": (lambda task: group([task.s(), task.s()]).apply_async(), ("--group",)),
    "delayed": (lambda task: task.apply_async(countdown=0.5), ("--eta", "0.5")),
    "from itself": (lambda task: task.apply_async(("again",)), ("--caller", "TASK")),
    "on another queue": (lambda task: task.apply_async(queue="bulk"), ("--queue", "bulk")),
}
RULES = {"CELERY_OTEL_LINKS_QUEUES": "bulk=none", "CELERY_OTEL_LINKS_DELAY_THRESHOLD": "0.2"}


@pytest.fixture(scope="module")
def shop(valkey_url, tmp_path_factory):
    """The environment of the shop, what publishes to it as its producer would, and the spans of its worker."""
    spans, queue = tmp_path_factory.mktemp("explain") / "spans", f"shop-{uuid.uuid4().hex[:8]}"
    settings = Settings(valkey_url, valkey_url, str(spans), conf={"task_default_queue": queue})
    with worker(settings, app=APP, queues=(queue, "bulk"), env=RULES, pool="threads", concurrency=4):
        yield environment(settings, ready=Path(os.devnull), env=RULES), SpanFile(spans)


def explained(environ, *arguments):
    command = [sys.executable, "-m", "celery", "-A", APP, "otel-links", "explain", "--json", *arguments]
    done = subprocess.run(command, env=environ, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {one["task"]: one for one in json.loads(done.stdout)}


FROM_ITSELF = """
import json
from celery_otel_links.cli.explain import Asked, explained, of
from celery_otel_links.cli.tasks import chosen
from tests.operated.example_app import app
found = [explained(of(app), app, name, Asked(caller=name)) for name in chosen(app, "shop.*")]
print(json.dumps([one._asdict() for one in found]))
"""


def from_itself(environ):
    """The command is asked about one task at a time like this; here it is what the command calls."""
    (charge,) = explained(environ, "shop.charge", "--caller", "shop.charge").values()
    command = [sys.executable, "-c", FROM_ITSELF]
    done = subprocess.run(command, env=environ, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    found = {one["task"]: one for one in json.loads(done.stdout)}
    assert found["shop.charge"] == charge
    return found


PUBLISH = """
import json, sys
from opentelemetry import trace
from tests.operated.example_app import app
from tests.operated.test_explain import WAYS
publish = WAYS[sys.argv[1]][0]
for name in json.loads(sys.argv[2]):
    with trace.get_tracer("test").start_as_current_span("request of " + name):
        publish(app.tasks[name])
"""


@pytest.mark.parametrize("way", WAYS)
def test_it_agrees_with_the_runs(shop, way):
    environ, spans = shop
    options = WAYS[way][1]
    told = from_itself(environ) if "TASK" in options else explained(environ, *options)
    assert sorted(told) == TASKS
    before = len(spans.spans())
    command = [sys.executable, "-c", PUBLISH, way, json.dumps(list(told))]
    subprocess.run(command, env=environ, cwd=REPOSITORY, check=True, timeout=60)

    def runs():
        new = [span for span in spans.spans()[before:] if span.kind == "CONSUMER"]
        if way == "from itself":  # the runs that another one has published
            producers = {span.id: span for span in spans.spans() if span.kind == "PRODUCER"}
            requests = {span.id for span in spans.spans() if span.name.startswith("request of")}
            new = [span for span in new if producers[_publisher(span)].parent not in requests]
        return new

    count = len(told) * (2 if way == "in a group" else 1)
    until(lambda: len(runs()) >= count, what=lambda: f"{count} runs; there are {runs()}")
    said = {(name, one["mode"], one["reason"]) for name, one in told.items()}
    assert said == {
        tuple(span.attributes[f"celery.{key}"] for key in ("task_name", "propagation.mode", "propagation.reason"))
        for span in runs()
    }


def _publisher(span):
    return span.parent or span.links[0].target[1]


def test_a_name_that_is_wrong_is_answered_with_what_was_meant(shop):
    command = [sys.executable, "-m", "celery", "-A", APP, "otel-links", "explain", "shop.raport"]
    done = subprocess.run(command, env=shop[0], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Did you mean 'shop.report'?" in done.stderr
