"""Others beside us in every process: our traces are the same with them, and what they do still works."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.needs import needs
from tests.harness.waiting import until
from tests.systems import django_site, neighbours
from tests.systems.test_transports import EVERYTHING

# Logfire's tracers let nobody choose the identity of a span, so that nothing can link to one that is still to come.
WITHOUT_RESERVATIONS = """
    request
      apply_async/store.add#1
      apply_async/store.add#2
      apply_async/store.add#3
        run/store.add
      apply_async/store.linked
      apply_async/store.order
        run/store.order
          apply_async/store.add#4
            run/store.add
    run/store.add       link producer -> apply_async/store.add#1
    run/store.add       link producer -> apply_async/store.add#2
    run/store.linked    link producer -> apply_async/store.linked
"""

NAMES = {"celery.task.latency.queue", "celery.task.duration", "celery.task.outcomes", "celery.task.published"}


OF_LOGFIRE = pytest.mark.emits("logfire.msg", "logfire.span_type")  # on every span of its provider
each = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=OF_LOGFIRE if name == "logfire" else ())
        for name in neighbours.ALL
        if name not in ("django", "results")
    ],
)


@pytest.fixture
def beside(open_system: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Opens a system with these beside us, in the worker and in the publishing processes."""

    def opened(*names: str, **options: Any) -> Any:
        for name in names:
            library = neighbours.LIBRARIES[name]
            needs(importlib.util.find_spec(library), f"the package of {library}")
        if {"django", "structlog", "results"}.intersection(names):
            django_site.migrate(tmp_path)
        return open_system(beside=names, **options)

    return opened


@each
def test_our_traces_are_the_same_beside(beside: Callable[..., Any], name: str) -> None:
    with beside(name) as system:
        system.play("everything")
        system.until("run/store.add", 4)
        system.expect(WITHOUT_RESERVATIONS if name == "logfire" else EVERYTHING)


@each
def test_the_body_of_a_chord_has_all_its_links_beside(beside: Callable[..., Any], name: str) -> None:
    with beside(name) as system:
        assert system.play("summed") == 6
        expect_all_header_links(system)


def expect_all_header_links(system: Any) -> None:
    (body,) = system.until("run/store.sums")
    headers = system.until("run/store.add", 3)
    assert sorted(link.target for link in body.links if link.kind == "header") == sorted(run.key for run in headers)
    assert system.complaints() == []


def test_sentrys_entries_of_baggage_and_ours_stand_side_by_side(beside: Callable[..., Any]) -> None:
    with beside("sentry") as system:
        said = system.play("says")
        entries = [entry.partition("=")[0] for entry in said["header"].split(",")]
        assert "shop" in entries
        assert "sentry-trace_id" in entries
        assert len(entries) == len(set(entries))
        assert said["baggage"]["shop"] == "ours"
        (run,) = system.until("run/store.says")
        assert said["span"] == run.id


def test_the_context_that_datadog_sends_is_not_ours(beside: Callable[..., Any]) -> None:
    with beside("ddtrace") as system:
        said = system.play("says")
        assert "x-datadog-trace-id" in said["headers"], "it is there"
        (run,) = system.until("run/store.says")
        (published,) = system.ours("apply_async/store.says")
        assert (said["trace"], said["span"]) == run.key
        assert run.parent == published.id


def test_elastics_parent_travels_beside_ours(beside: Callable[..., Any]) -> None:
    with beside("elastic") as system:
        said = system.play("says")
        assert "elasticapm" in said["headers"], "it is there"
        (run,) = system.until("run/store.says")
        assert said["span"] == run.id


def test_django_structlog_hands_the_ids_of_the_request_on(beside: Callable[..., Any], tmp_path: Path) -> None:
    with beside("structlog") as system:
        system.play("says")
        (run,) = system.until("run/store.says")
        lines = [json.loads(line) for line in (tmp_path / "structlog").read_text().splitlines()]
        started = [line for line in lines if line.get("event") == "task_started"]
        assert [line["request_id"] for line in started] == ["of the request"]
        assert [line["task_id"] for line in started] == [run.message_id]


def test_asgi_correlation_id_hands_its_id_on(beside: Callable[..., Any]) -> None:
    with beside("correlation") as system:
        said = system.play("says")
        assert "CORRELATION_ID" in said["headers"]
        (run,) = system.until("run/store.says")
        assert said["span"] == run.id


def test_log_records_of_a_task_have_its_trace(beside: Callable[..., Any], tmp_path: Path) -> None:
    with beside("logging") as system:
        system.play("says")
        (run,) = system.until("run/store.says")
        assert (tmp_path / "log").read_text().split() == ["said", run.trace, run.id]


def test_what_a_thread_of_a_task_publishes_is_its_child(beside: Callable[..., Any]) -> None:
    with beside("threading") as system:
        system.play("one", "store.in_a_thread")
        system.until("run/store.add")
        system.expect(
            """
            request
              apply_async/store.in_a_thread
                run/store.in_a_thread
                  apply_async/store.add
                    run/store.add
            """
        )


def test_our_own_traffic_to_the_store_makes_no_spans(beside: Callable[..., Any]) -> None:
    with beside("redis", "threading") as system:
        system.play("summed")
        expect_all_header_links(system)
        system.play("summed")
        system.until("run/store.sums", 2)
        others = [span for span in system.spans.spans() if span.scope == "opentelemetry.instrumentation.redis"]
        assert others, "the instrumentation is there"
        assert [span.name for span in others if span.name in ("HSET", "HSET EXPIRE", "HVALS")] == []


@pytest.mark.clock  # a store that takes a tenth of a second costs a link, and SQLite has one writer at a time
def test_djangos_results_lose_no_link_and_keep_nothing_of_ours(beside: Callable[..., Any], tmp_path: Path) -> None:
    with beside("results", backend="django-db", otel_links={"fan_in": True}) as system:
        assert system.play("summed") == 6
        expect_all_header_links(system)
    with sqlite3.connect(tmp_path / "django.sqlite") as database:
        rows = database.execute("SELECT task_id FROM django_celery_results_taskresult").fetchall()
    assert rows
    assert [task_id for (task_id,) in rows if "otel" in task_id] == []


@OF_LOGFIRE
def test_logfires_meter_measures_tasks_as_others_do(beside: Callable[..., Any], tmp_path: Path) -> None:
    with beside("logfire") as system:
        system.play("one", "store.add", 1, 2)
        system.until("run/store.add")

        def measured() -> set[str]:
            return {name for name in NAMES if name in (tmp_path / "metrics").read_text()}

        until(
            lambda: (tmp_path / "metrics").exists() and measured() == NAMES, what=lambda: f"{NAMES}, not {measured()}"
        )
        assert system.complaints() == []
