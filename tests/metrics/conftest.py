"""Fixtures of what is measured: `metered` is a story on a worker whose metrics go to a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.conftest import _nothing_left_current, pytest_generate_tests, story_of  # noqa: F401
from tests.acceptance.stages import Stages
from tests.harness.metering import MetricFile
from tests.metrics.metered import Metered
from tests.metrics.told import VARIABLE


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """The workers of one module: they export several times a second, and are better gone afterwards."""
    opened = Stages(tmp_path_factory.mktemp("stages"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], MetricFile]:
    """The file of metrics of this name; one for all that ask for it."""
    directory, made = tmp_path_factory.mktemp("metrics"), {}
    return lambda name: made.setdefault(name, MetricFile(directory / f"{name}.jsonl"))


@pytest.fixture
def metered_on(story_of, stages: Stages, files) -> Callable[..., Metered]:  # noqa: F811
    """Gives the story of a worker with these settings, which is told besides (`told`) what to do with its metrics."""

    def begin(told: dict[str, Any] | None = None, env: dict[str, str] | None = None, **settings: Any) -> Metered:
        file = files(str(abs(hash(json.dumps([told, env, settings], sort_keys=True)))))
        env = {**(env or {}), VARIABLE: json.dumps({"file": str(file.path), **(told or {})})}
        return Metered(story_of(app="tests.metrics.app:app", env=env, **settings), file)

    return begin


@pytest.fixture
def metered(metered_on) -> Metered:
    """The story on a worker of two processes."""
    return metered_on()
