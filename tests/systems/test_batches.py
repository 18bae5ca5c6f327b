"""celery-batches: one run for many messages, a root that is linked to every one of them."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import celery
import pytest

from tests.harness.needs import needs
from tests.harness.recording import Span
from tests.harness.waiting import until

APP = {"app": "tests.systems.batch_app:app", "env": {"OTEL_LINKS_TEST_APP": "tests.systems.batch_app"}}
RUN = "run/store.together"


@pytest.fixture
def open_batches(open_system: Callable[..., Any]) -> Callable[..., Any]:
    """Opens a system with a task of celery-batches."""
    if celery.VERSION >= (5, 7):
        pytest.skip("celery-batches needs Celery before 5.7")
    needs(importlib.util.find_spec("celery_batches"), "the package celery-batches")
    return partial(open_system, **APP, concurrency=1)


@pytest.fixture
def system(open_batches: Callable[..., Any]) -> Iterator[Any]:
    with open_batches() as opened:
        yield opened


def expect_batch(system: Any, count: int) -> Span:
    """The only run of a batch, with its messages."""
    (run,) = system.until(RUN)
    published = system.ours("apply_async/store.together")
    assert run.parent is None
    assert {link.kind for link in run.links} == {"producer"}
    assert sorted(link.target for link in run.links) == sorted(span.key for span in published)
    assert run.attributes["messaging.batch.message_count"] == len(published) == count
    assert run.attributes["celery.propagation.mode"] == "link"
    assert run.attributes["celery.propagation.reason"] == "batch"
    assert "messaging.message.id" not in run.attributes
    assert [link for span in published for link in span.links] == [], "nothing is reserved that nobody will take"
    assert run.attributes["celery.latency.queue"] == pytest.approx(
        run.attributes["celery.latency.broker"] + run.attributes["celery.latency.prefetch"]
    )
    since_the_first = (run.start - min(span.start for span in published)) / 1e9
    assert run.attributes["celery.latency.queue"] == pytest.approx(since_the_first, abs=0.1)
    assert system.complaints() == []
    return run


def test_a_batch_is_one_root_linked_to_all_its_messages(system: Any) -> None:
    system.play("together", "nothing", 3)
    run = expect_batch(system, 3)
    assert run.attributes["celery.state"] == "SUCCESS"


def test_a_batch_of_one_is_a_root_as_well(system: Any) -> None:
    system.play("together", "nothing", 1)
    expect_batch(system, 1)


def test_what_a_batch_publishes_is_its_child(system: Any) -> None:
    system.play("together", "publish", 3)
    run = expect_batch(system, 3)
    system.until("run/store.add")
    (published,) = system.ours("apply_async/store.add")
    assert published.parent == run.id


def test_a_batch_that_fails_has_failed(system: Any) -> None:
    system.play("together", "fail", 3)
    run = expect_batch(system, 3)
    assert run.attributes["celery.state"] == "FAILURE"
    assert run.status == "ERROR"


def test_nothing_is_reserved_for_linked_messages_of_a_batch(open_batches: Callable[..., Any]) -> None:
    with open_batches(otel_links={"default": "link"}) as system:
        system.play("together", "nothing", 3)
        expect_batch(system, 3)


def test_a_batch_that_exits_in_a_thread_has_its_span_when_the_next_task_begins(
    open_batches: Callable[..., Any],
) -> None:
    with open_batches(pool="threads") as system:
        system.play("together", "exit", 3)
        system.play("one", "store.add", 1, 2)
        (run,) = system.until("run/store.add")
        (published,) = system.ours("apply_async/store.add")
        assert run.parent == published.id
        batch = expect_batch(system, 3)
    assert (batch.attributes["celery.state"], batch.attributes["error.type"]) == ("FAILURE", "SystemExit")


def test_a_batch_whose_process_is_killed_has_its_span(system: Any, tmp_path: Path) -> None:
    system.play("together", "die", 3)
    pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), what="a batch that runs")
    os.kill(int(pid), signal.SIGKILL)
    run = expect_batch(system, 3)
    assert run.attributes["celery.state"] == "FAILURE"
    assert "WorkerLostError" in run.attributes["error.type"]


def test_a_batch_whose_process_is_terminated_has_one_span(system: Any, tmp_path: Path) -> None:
    system.play("together", "die", 3)
    pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), what="a batch that runs")
    os.kill(int(pid), signal.SIGTERM)
    run = expect_batch(system, 3)
    assert run.attributes["celery.state"] == "FAILURE"


def test_after_a_batch_that_was_ended_from_outside_tasks_have_their_own_traces(system: Any, tmp_path: Path) -> None:
    system.play("together", "die", 1)
    pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), what="a batch that runs")
    os.kill(int(pid), signal.SIGTERM)
    expect_batch(system, 1)
    system.play("one", "store.add", 1, 2)
    (run,) = system.until("run/store.add")
    (published,) = system.ours("apply_async/store.add")
    assert run.parent == published.id
