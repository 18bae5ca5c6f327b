"""Fixtures of the scenarios: `story` on each stage that the test module names."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor

from tests.acceptance.stages import DEFAULT, Stages
from tests.acceptance.story import Story


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """The workers that are needed now, each started when it is first asked for."""
    opened = Stages(tmp_path_factory.mktemp("stages"))
    yield opened
    opened.close()


@pytest.fixture
def story_of(stage_name: str, stages: Stages) -> Iterator[Callable[..., Story]]:
    """Gives the story on a stage whose worker has these settings, already begun."""
    told: list[Story] = []

    def begin(**settings: Any) -> Story:
        told.append(Story(stages.get(stage_name, **settings)))
        told[-1].begin()
        return told[-1]

    yield begin
    for one in told:
        one.end()


@pytest.fixture
def story(request: pytest.FixtureRequest, stage_name: str, stages: Stages) -> Iterator[Story]:
    """The story on a stage, already begun. `@pytest.mark.worker(otel_links=…)` makes its worker a special one."""
    told = Story(stages.get(stage_name, **_settings(request.node)))
    told.begin()
    yield told
    told.end()


@pytest.fixture
def fresh(story: Story, caplog: pytest.LogCaptureFixture) -> Iterator[Story]:
    """A story whose publisher is not instrumented yet. Afterwards neither instrumentation is on."""
    story.end()
    caplog.set_level(logging.INFO)
    yield story
    story.end()
    if CeleryInstrumentor().is_instrumented_by_opentelemetry:
        CeleryInstrumentor().uninstrument()


@pytest.fixture(autouse=True)
def _nothing_left_current() -> Iterator[None]:
    """No test, and nothing that it tests, may leave a span current in the publisher."""
    yield
    assert trace.get_current_span() is trace.INVALID_SPAN


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stage_name" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("stages")
        metafunc.parametrize("stage_name", marker.args if marker else (DEFAULT,), scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that play on the same worker come one after the other."""
    places = [place for place, item in enumerate(items) if _plays(item)]
    workers: dict[str, int] = {}
    for place in places:
        workers.setdefault(_worker_of(items[place]), place)
    ordered = sorted((items[place] for place in places), key=lambda item: workers[_worker_of(item)])
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A worker is gone after its last test, and before the servers that belong to this test's module."""
    stages = getattr(item, "funcargs", {}).get("stages")
    if stages and not (nextitem and _plays(item) and _plays(nextitem) and _worker_of(nextitem) == _worker_of(item)):
        stages.end_workers()


def _plays(item: pytest.Item) -> bool:
    return "stage_name" in getattr(item, "fixturenames", ())


def _worker_of(item: pytest.Item) -> str:
    """What tells the worker of a test from others. Where a test says the settings itself: the module."""
    said_by_test = str(item.path) if "story_of" in item.fixturenames else ""
    return json.dumps([item.callspec.params["stage_name"], said_by_test, _settings(item)], sort_keys=True)


def _settings(item: pytest.Item) -> dict[str, Any]:
    marker = item.get_closest_marker("worker")
    return marker.kwargs if marker else {}
