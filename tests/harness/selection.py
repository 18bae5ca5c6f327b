"""Which tests run without `--all`, and which may have a second try in CI.

Quick are the tables of the pure functions, the receivers, and the scenarios on one stage. A file that is named on the
command line runs completely.
"""

from __future__ import annotations

import pytest

from tests.acceptance.stages import DEFAULT

ALL = "--all"
SECOND_TRY = "--second-try"
# Whatever runs elsewhere than on the one stage is slow: by folder, and by the fixture that begins it.
FOLDERS = ("boot", "docs", "example", "projects", "systems")
FIXTURES = ("chromium", "metered_on", "open_site", "valkey_url")
# What is metered is how long messages waited, for a whole worker.
CLOCKED = "metered_on"


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("celery-otel-links")
    group.addoption(ALL, action="store_true", help="run the slow tests, too")
    group.addoption(
        SECOND_TRY,
        action="store_true",
        help="run a test once more that fails and is marked as waiting for other processes against a clock",
    )


class Selection:
    """A plugin: leaves out what is slow, and says so."""

    def __init__(self, config: pytest.Config) -> None:
        self._all = config.getoption(ALL)
        self._second_try = config.getoption(SECOND_TRY)
        self._named = {argument.partition("::")[0] for argument in config.args if ".py" in argument}
        self._left_out = 0

    @pytest.hookimpl(tryfirst=True)  # `-m slow` looks at the markers
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        for item in items:
            if is_slow(item):
                item.add_marker("slow")
            if CLOCKED in getattr(item, "fixturenames", ()):
                item.add_marker("clock")
            if self._second_try and item.get_closest_marker("clock"):
                item.add_marker(pytest.mark.flaky(reruns=1))
        left_out = [] if self._all else [item for item in items if self._is_left_out(item)]
        self._left_out = len(left_out)
        config.hook.pytest_deselected(items=left_out)
        out = set(left_out)
        items[:] = [item for item in items if item not in out]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        again = terminalreporter.stats.get("rerun", [])
        if self._second_try:
            found = f"{len(again)} second tries of tests that wait against a clock"
            terminalreporter.section(found, yellow=bool(again))
        for report in again:  # what was wrong at the first
            terminalreporter.line(report.nodeid, bold=True)
            terminalreporter.line(report.longreprtext)
        if self._left_out:
            terminalreporter.section(f"{self._left_out} SLOW TESTS WERE LEFT OUT", yellow=True, bold=True)
            terminalreporter.line(f"other stages, lifecycle, metering, the example: `pytest {ALL}` runs them as well")

    def _is_left_out(self, item: pytest.Item) -> bool:
        named = any(str(item.path).endswith(name) for name in self._named)
        return item.get_closest_marker("slow") is not None and not named


def is_slow(item: pytest.Item) -> bool:
    folder = item.path.parent.name
    fixtures = getattr(item, "fixturenames", ())
    callspec = getattr(item, "callspec", None)
    stage = callspec.params.get("stage_name", DEFAULT) if callspec else DEFAULT
    return folder in FOLDERS or not set(FIXTURES).isdisjoint(fixtures) or stage != DEFAULT
