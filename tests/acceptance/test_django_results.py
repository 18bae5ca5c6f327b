"""django-celery-results: the body links to its header tasks, and nothing of ours is left among the results."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from celery import chord

from tests.acceptance.shop import open_shop
from tests.harness.needs import needs
from tests.harness.recording import Span, collected
from tests.harness.waiting import until
from tests.harness.workers import REPOSITORY, Settings, worker

pytestmark = pytest.mark.slow


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with the tables of the results."""
    needs(importlib.util.find_spec("django_celery_results"), "django-celery-results")
    path = tmp_path / "results.sqlite"
    command = [sys.executable, "-m", "django", "migrate"]
    subprocess.run(command, cwd=REPOSITORY, env={**os.environ, **environment(path)}, check=True, capture_output=True)
    return path


def environment(database: Path) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.django_settings",
        "OTEL_LINKS_TEST_DATABASE": str(database),
        "PYTHONPATH": str(REPOSITORY),
    }


def results(database: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return {row[0] for row in connection.execute("SELECT task_id FROM django_celery_results_taskresult")}


@pytest.mark.parametrize("backend", ["django-db", "django-cache"])
def test_the_body_links_to_all_header_tasks_and_only_results_are_left(database, valkey_url, tmp_path, backend):
    spans, queue = tmp_path / "spans.jsonl", f"django-{uuid.uuid4().hex[:8]}"
    conf = {"task_default_queue": queue, "result_chord_retry_interval": 0.2}
    settings = Settings(valkey_url, backend, str(spans), conf=conf, otel_links={"fan_in": True})
    # Results of Django's models and caches belong into processes that have Django: the worker publishes the chord.
    pool = "prefork" if backend == "django-db" else "threads"
    with worker(settings, pool=pool, queues=(queue,), env=environment(database)) as running:
        app = open_shop(valkey_url, None, conf)
        shop = app.tasks
        canvas = chord([shop["shop.add"].s(number, 1) for number in range(3)], shop["shop.sums"].s())
        shop["shop.publish"].apply_async((canvas,), ignore_result=True)

        def body() -> list[Span]:
            return [span for span in collected(spans) if span.name == "run/shop.sums"]

        (run,) = until(body, what=lambda: f"the run of the body\n{running.stderr[-4000:]}")
        if backend == "django-db":
            until(lambda: len(results(database)) >= 4, what="the results of all tasks")
    runs = {span.key for span in collected(spans) if span.name == "run/shop.add"}
    assert len(runs) == 3
    assert {link.target for link in run.links if link.kind == "header"} == runs
    assert [task_id for task_id in results(database) if "otel-links" in task_id] == []
