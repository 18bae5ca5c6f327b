"""How much longer it takes, by how long each test took the last time; nothing where one of them is not remembered."""

from __future__ import annotations

import time

import pytest

MEMORY = "celery-otel-links/seconds"


class Progress:
    """A plugin: says at the end of a file how much time is left."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._seconds: dict[str, float] = {}
        self._ahead: dict[str, float] | None = None
        self._remembered = 0.0  # how long the tests that have run took the last time
        self._begun = 0.0
        self._file = ""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        memory = self._config.cache.get(MEMORY, {}) if self._config.cache else {}
        names = [item.nodeid for item in session.items]
        self._ahead = {name: memory[name] for name in names} if memory.keys() >= set(names) else None
        self._begun = time.monotonic()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        file = nodeid.partition("::")[0]
        if self._ahead and self._file not in ("", file) and (reporter := self._reporter()):
            left = remaining(sum(self._ahead.values()), self._remembered, time.monotonic() - self._begun)
            reporter.write("  {}:{:02} left".format(*divmod(round(left), 60)))
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if self._ahead:
            self._remembered += self._ahead.pop(nodeid, 0.0)

    def pytest_sessionfinish(self) -> None:
        if self._config.cache and not self._config.option.collectonly:
            rounded = {name: round(seconds, 3) for name, seconds in self._seconds.items()}
            self._config.cache.set(MEMORY, {**self._config.cache.get(MEMORY, {}), **rounded})

    def _reporter(self) -> pytest.TerminalReporter | None:
        return self._config.pluginmanager.get_plugin("terminalreporter")


def remaining(ahead: float, remembered: float, spent: float) -> float:
    """What is ahead, at the pace of this run: what took `remembered` seconds the last time has taken `spent` now."""
    return ahead * spent / remembered if remembered else ahead
