"""The time that is left: by the last run, at the pace of this one, or nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.harness.progress import MEMORY, Progress, remaining

NAMES = ("a.py::one", "a.py::two", "b.py::three", "c.py::four")


class Run:
    """A session in which each test takes as long as it did the last time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, memory: dict[str, float]) -> None:
        self.now, self.said, self.kept = 0.0, [], {MEMORY: memory}
        cache = SimpleNamespace(get=self.kept.get, set=self.kept.__setitem__)
        reporter = SimpleNamespace(write=self.said.append)
        plugins = SimpleNamespace(get_plugin=lambda name: reporter)
        option = SimpleNamespace(collectonly=False)
        self.progress = Progress(SimpleNamespace(cache=cache, pluginmanager=plugins, option=option))
        monkeypatch.setattr("tests.harness.progress.time.monotonic", lambda: self.now)

    def play(self, pace: float) -> None:
        self.progress.pytest_collection_finish(SimpleNamespace(items=[SimpleNamespace(nodeid=name) for name in NAMES]))
        for name in NAMES:
            self.progress.pytest_runtest_logstart(name)
            self.now += 30 * pace
            self.progress.pytest_runtest_logreport(SimpleNamespace(nodeid=name, duration=30 * pace))
            self.progress.pytest_runtest_logfinish(name)
        self.progress.pytest_sessionfinish()


def test_without_a_memory_of_every_test_nothing_is_said_but_remembered(monkeypatch):
    run = Run(monkeypatch, {"a.py::one": 30, "gone.py::test": 1})
    run.play(1)
    assert run.said == []
    assert run.kept[MEMORY] == {**dict.fromkeys(NAMES, 30), "gone.py::test": 1}


@pytest.mark.parametrize(("pace", "said"), [(1, ["  1:00 left", "  0:30 left"]), (2, ["  2:00 left", "  1:00 left"])])
def test_what_is_left_is_said_after_each_file_at_the_pace_of_this_run(monkeypatch, pace, said):
    run = Run(monkeypatch, dict.fromkeys(NAMES, 30))
    run.play(pace)
    assert run.said == said


def test_before_anything_has_run_the_memory_alone_counts():
    assert remaining(90, 0, 0) == 90
    assert remaining(90, 30, 15) == 45
