"""docs/performance.md: what is written there is what CI compares with."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "performance.md"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The two modules, which are no part of the package and import each other by their bare names."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    import page
    import results

    return SimpleNamespace(page=page, Result=results.Result)


def page_of(benchmarks: SimpleNamespace, *found: tuple[str, float]) -> str:
    section = benchmarks.page.Section("A title", "A text.", [benchmarks.Result(name, value) for name, value in found])
    return benchmarks.page.written([section], date(2026, 1, 2))


def test_the_ratios_on_a_written_page_are_read_again(benchmarks: SimpleNamespace) -> None:
    page = page_of(benchmarks, ("child: path / contrib", 0.816), ("main process, MiB", 1.0))
    assert benchmarks.page.ratios(page) == {"child: path / contrib": 0.82}


@pytest.mark.parametrize(
    ("value", "noise", "grows"),
    [(0.8, 0.0, False), (0.96, 0.0, False), (0.97, 0.0, True), (0.97, 0.02, False), (0.5, 0.0, False)],
)
def test_a_ratio_has_grown_when_it_is_more_than_a_fifth_over_the_page_beyond_its_noise(
    benchmarks: SimpleNamespace, value: float, noise: float, grows: bool
) -> None:
    page = page_of(benchmarks, ("child: path / contrib", 0.8))
    found = [benchmarks.Result("child: path / contrib", value, noise), benchmarks.Result("new / contrib", 9.0)]
    assert bool(benchmarks.page.grown(found, page)) is grows


@pytest.mark.parametrize(
    "ratio",
    [
        "child: path / contrib",
        "link: path / contrib",
        "child unsampled: path / contrib",
        "child: bill / contrib",
        "link: bill / contrib",
        "child: child process / contrib",
        "link: child process / contrib",
    ],
)
def test_each_ratio_that_has_a_goal_stands_on_the_page(benchmarks: SimpleNamespace, ratio: str) -> None:
    """What is not there is not compared, and could grow as it likes."""
    assert ratio in benchmarks.page.ratios(PAGE.read_text())
