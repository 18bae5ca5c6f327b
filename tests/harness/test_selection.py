"""What is slow, and what may have a second try."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.selection import Selection


class Item:
    """A collected test."""

    def __init__(
        self, path: str, stage: str = "prefork-valkey", fixtures: tuple[str, ...] = (), mark: str = ""
    ) -> None:
        self.path, self.fixturenames = Path("/repository") / path, ("stage_name", *fixtures)
        self.callspec = SimpleNamespace(params={"stage_name": stage})
        self.marks: dict[str, Any] = {mark: None}

    def add_marker(self, mark: Any) -> None:
        self.marks[mark if isinstance(mark, str) else mark.name] = mark

    def get_closest_marker(self, name: str) -> Any:
        return name if name in self.marks else None


QUICK = {
    "a rule": Item("tests/unit/test_policy.py"),
    "the one stage": Item("tests/acceptance/test_chord.py"),
    "a receiver": Item("tests/lifecycle/test_put_back.py"),
}
SLOW = {
    "another stage": Item("tests/acceptance/test_chord.py", stage="threads-valkey"),
    "a worker that ends": Item("tests/lifecycle/test_matrix.py", fixtures=("open_site",)),
    "a server of its own": Item("tests/viewer/test_view_command.py", fixtures=("valkey_url",)),
    "a browser": Item("tests/viewer/test_browser_links.py", fixtures=("chromium",)),
    "metering": Item("tests/metrics/test_split.py", fixtures=("metered_on",)),
    "the example": Item("tests/example/test_example.py"),
    "what is marked": Item("tests/acceptance/test_hostile.py", mark="slow"),
}


def select(items: list[Item], *arguments: str, options: tuple[str, ...] = ()) -> tuple[list[Item], list[Item]]:
    """What runs, and what is left out."""
    left_out: list[Item] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: left_out.extend(items))
    config = SimpleNamespace(args=arguments, getoption=lambda name: name in options, hook=hook)
    kept = list(items)
    Selection(config).pytest_collection_modifyitems(config, kept)
    return kept, left_out


@pytest.mark.parametrize("item", QUICK.values(), ids=QUICK)
def test_it_runs_always(item):
    assert select([item]) == ([item], [])


@pytest.mark.parametrize("item", SLOW.values(), ids=SLOW)
def test_it_is_left_out_unless_all_is_asked_for_or_its_file(item):
    assert select([item]) == ([], [item])
    assert select([item], "tests/" + item.path.parent.name) == ([], [item])
    assert select([item], options=("--all",)) == ([item], [])
    assert select([item], f"{item.path.relative_to('/repository')}::test_it") == ([item], [])


@pytest.mark.parametrize(
    ("item", "options", "expected"),
    [
        (Item("tests/lifecycle/test_storm.py", mark="clock"), ("--all", "--second-try"), True),
        (Item("tests/metrics/test_split.py", fixtures=("metered_on",)), ("--all", "--second-try"), True),
        (Item("tests/lifecycle/test_storm.py", mark="clock"), ("--all",), False),
        (Item("tests/acceptance/test_chord.py"), ("--all", "--second-try"), False),
    ],
)
def test_a_second_try_has_only_what_waits_against_a_clock_and_only_if_asked_for(item, options, expected):
    select([item], options=options)
    assert ("flaky" in item.marks) is expected


def test_what_was_wrong_at_a_first_try_is_said():
    """Otherwise nobody would ever know: the second one has passed."""
    said: list[str] = []
    reporter = SimpleNamespace(
        stats={"rerun": [SimpleNamespace(nodeid="test_storm.py::test_it", longreprtext="AssertionError: too late")]},
        section=lambda text, **_: said.append(text),
        line=lambda text, **_: said.append(text),
    )
    config = SimpleNamespace(args=(), getoption=lambda name: name == "--second-try")
    Selection(config).pytest_terminal_summary(reporter)
    assert said == [
        "1 second tries of tests that wait against a clock",
        "test_storm.py::test_it",
        "AssertionError: too late",
    ]
