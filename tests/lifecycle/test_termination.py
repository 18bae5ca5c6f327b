"""A task that is terminated has one span, wherever in our own code the signal finds its process."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from tests.harness.waiting import until

SLOW_APP = "tests.lifecycle.slow_app:app"
TERMINATED = ("TERMINATED", "billiard.exceptions.Terminated")
DONE = ("SUCCESS", None)
AT_THE_START = ("receiver", "on_start CONSUMER", "run_hook")
AT_THE_END = ("on_end CONSUMER", "export")


class Held:
    """A process that has come to a point, and waits there."""

    def __init__(self, directory: Path) -> None:
        self.told = str(directory)
        self._directory = directory

    @property
    def process(self) -> psutil.Process:
        return process_in(self._directory / "reached")

    def let_go(self) -> None:
        (self._directory / "go").touch()


def process_in(path):
    """The process that writes its id into this file."""
    until(lambda: path.exists() and path.read_text(), what=f"the process in {path.name}")
    return psutil.Process(int(path.read_text()))


@pytest.fixture
def held(tmp_path):
    return Held(tmp_path)


def terminate(site, identifier, signame="SIGTERM"):
    """Returns when the worker has sent the signal."""
    site.app.control.revoke(identifier, terminate=True, signal=signame, destination=[site.host], reply=True, timeout=10)


def ends_of(site, identifier):
    """Stop the worker. Returns how the attempts of the task have ended, as their spans say."""
    site.worker.stop(signal.SIGTERM, timeout=30)
    assert site.complaints() == []
    runs = [span for span in site.spans() if span.kind == "CONSUMER"]
    assert {run.message_id for run in runs} <= {identifier}
    return [(run.attributes["celery.state"], run.attributes.get("error.type")) for run in runs]


def gone(process):
    """Wait until it is."""
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, what="the end of the process")


@pytest.mark.parametrize(
    ("signame", "point", "end"),
    [
        *(("SIGTERM", point, TERMINATED) for point in AT_THE_START),
        *(("SIGTERM", point, DONE) for point in AT_THE_END),
        *((signame, "on_start CONSUMER", TERMINATED) for signame in ("SIGHUP", "SIGQUIT")),
        *((signame, "on_end CONSUMER", DONE) for signame in ("SIGHUP", "SIGQUIT")),
    ],
)
def test_a_signal_that_finds_the_process_in_our_code_leaves_one_span(open_site, held, signame, point, end):
    with open_site("prefork", app=SLOW_APP, told={point: held.told}, concurrency=1) as site:
        seconds = 30 if end == TERMINATED else 0
        identifier = site.app.send_task("end.run_for", (seconds,)).id
        process = held.process
        terminate(site, identifier, signame)
        held.let_go()
        gone(process)
        assert ends_of(site, identifier) == [end]


@pytest.mark.parametrize("point", AT_THE_END)
def test_the_whole_group_may_be_told_to_end_while_a_span_is_exported(open_site, held, point):
    """Whoever waits for the result gets it before the span ends; systemd tells the whole group."""
    with open_site("prefork", app=SLOW_APP, told={point: held.told}, concurrency=1) as site:
        result = site.app.send_task("end.run_for", (0,))
        process = held.process
        assert result.get(timeout=10) is None
        os.killpg(site.worker.pid, signal.SIGTERM)
        held.let_go()
        gone(process)
        assert ends_of(site, result.id) == [DONE]


@pytest.mark.parametrize("point", AT_THE_END)
def test_a_second_signal_waits_until_the_span_is_exported(open_site, held, tmp_path, point):
    started = tmp_path / "started"
    with open_site("prefork", app=SLOW_APP, told={point: held.told}, concurrency=1) as site:
        identifier = site.app.send_task("end.wait_for", (str(tmp_path / "never"), str(started))).id
        until(started.exists, what="the start")
        terminate(site, identifier)
        process = held.process
        os.kill(process.pid, signal.SIGTERM)
        held.let_go()
        gone(process)
        assert ends_of(site, identifier) == [TERMINATED]


@pytest.mark.parametrize("point", AT_THE_START)
def test_code_that_hangs_is_interrupted(open_site, held, point):
    limits = {"flush_timeout": 0.3}
    with open_site("prefork", app=SLOW_APP, told={point: held.told}, otel_links=limits, concurrency=1) as site:
        identifier = site.app.send_task("end.run_for", (30,)).id
        process = held.process
        terminate(site, identifier)
        gone(process)
        held.let_go()  # where the main process makes the span
        assert ends_of(site, identifier) == [TERMINATED]


def test_a_second_signal_ends_a_task_that_does_not_end_by_itself(open_site, tmp_path):
    """As without us: the first one has set the default action."""
    started = tmp_path / "started"
    with open_site("prefork", app=SLOW_APP, concurrency=1) as site:
        identifier = site.app.send_task("end.cling", (str(started),)).id
        process = process_in(started)
        terminate(site, identifier)
        until(lambda: started.read_text() == "clings", what="the first signal")
        os.kill(process.pid, signal.SIGTERM)
        gone(process)
        assert ends_of(site, identifier) == [TERMINATED]


def test_the_pool_finds_the_exit_status_that_it_would_find_without_us(open_site, tmp_path):
    """It sends a last signal when the process has said that it is done, which is no second one for us."""
    started = tmp_path / "started"
    with open_site("prefork", app=SLOW_APP, concurrency=1) as site:
        identifier = site.app.send_task("end.wait_for", (str(tmp_path / "never"), str(started))).id
        os.kill(process_in(started).pid, signal.SIGTERM)
        until(lambda: " exited with " in site.worker.stderr, what=lambda: f"the end: {site.worker.stderr[-3000:]}")
        assert re.search(r" exited with '(signal 15 \(SIGTERM\)|exitcode 15)'", site.worker.stderr)
        assert ends_of(site, identifier) == [TERMINATED]
