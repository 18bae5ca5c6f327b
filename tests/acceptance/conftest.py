"""Fixtures of the scenarios: `story` on each stage that the test module names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace

from tests.acceptance.stages import DEFAULT, Stages
from tests.acceptance.story import Story


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """All workers of the session, each started when it is first needed."""
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
def story(request: pytest.FixtureRequest, story_of: Callable[..., Story]) -> Story:
    """The story on a stage, already begun. `@pytest.mark.worker(otel_links=…)` makes its worker a special one."""
    special = request.node.get_closest_marker("worker")
    return story_of(**(special.kwargs if special else {}))


@pytest.fixture(autouse=True)
def _nothing_left_current() -> Iterator[None]:
    """No test, and nothing that it tests, may leave a span current in the publisher."""
    yield
    assert trace.get_current_span() is trace.INVALID_SPAN


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stage_name" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("stages")
        metafunc.parametrize("stage_name", marker.args if marker else (DEFAULT,), scope="session")
