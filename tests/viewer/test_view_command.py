"""`celery -A … otel-links view` for an application that is not the example: a prefork worker, a web process, a page."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from celery_otel_links.cli import otel_links
from celery_otel_links.cli.viewer.collector import Collector
from tests.harness import processes, servers
from tests.harness.waiting import until
from tests.harness.workers import REPOSITORY

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
pytestmark = pytest.mark.slow

APP = "tests.viewer.other:app"
CELERY = [sys.executable, "-m", "celery", "-A", APP]


class Process:
    """A process that says when it is ready; gone afterwards."""

    def __init__(self, directory: Path, command: list[str], env: dict[str, str], ready: str) -> None:
        self.directory = directory
        directory.mkdir()
        self.process = processes.start(command, directory=directory, env=env)
        until(lambda: ready in self.output or self.process.poll() is not None, what=lambda: self.output, timeout=30)
        assert self.process.poll() is None, self.output

    @property
    def output(self) -> str:
        return "".join((self.directory / name).read_text(errors="replace") for name in ("stdout", "stderr"))

    def end(self, signum: int) -> str:
        self.process.send_signal(signum)
        assert self.process.wait(20) == 0, self.output
        return self.output


@pytest.fixture
def start(tmp_path: Path, valkey_url: str) -> Iterator[Callable[..., Process]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CELERY_"))}
    env = kept | {
        "CELERY_BROKER_URL": valkey_url,
        "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(REPOSITORY)])),
        "PYTHONUNBUFFERED": "1",
        "C_FORCE_ROOT": "1",
    }
    started: list[Process] = []

    def run(name: str, command: list[str], ready: str, **more: str) -> Process:
        started.append(Process(tmp_path / name, command, env | more, ready))
        return started[-1]

    yield run
    for one in started:
        processes.end(one.process)


def variables(output: str) -> dict[str, str]:
    """What the command says has to be in the environment."""
    lines = [shlex.split(line, comments=True) for line in output.splitlines() if line.strip().startswith("export ")]
    return dict(words[1].split("=", 1) for words in lines)


def runs(url: str) -> list[dict[str, Any]]:
    with urlopen(f"{url}/news?after=0", timeout=30) as answer:  # answers as soon as there is a span
        return [span for span in json.load(answer)["spans"] if span["n"] == "run/library.lend"]


def test_an_applications_own_traces_are_there_two_seconds_after_a_tasks_end(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    html = tmp_path / "page.html"
    view = start("view", [*CELERY, "otel-links", "view", "--port", "0", "--html", str(html)], "The page: ")
    until(lambda: "Ctrl-C" in view.output, what="all that the command says")
    told = variables(view.output)
    (url,) = re.findall(r"The page: (http://127\.0\.0\.1:\d+)/", view.output)
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == url
    start("worker", [*CELERY, "worker", "--concurrency", "2", "--pool", "prefork"], "worker is ready", **told)
    port = servers.free_port()
    start("web", [sys.executable, "-m", "tests.viewer.other", str(port)], "web is ready", **told)
    seen_after = []
    for count in (1, 2, 3):
        urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
        found = until(lambda count=count: len(all_ := runs(url)) == count and all_, what="the run", timeout=20)
        seen_after.append(time.time() - max(span["e"] for span in found))
    assert max(seen_after) < 2, seen_after
    assert [link[2] for link in found[0]["l"]] == ["producer"]
    assert view.end(signal.SIGINT).rstrip().endswith(f"The page is in {html}")
    assert "GET /lend" in html.read_text()
    assert "Traceback" not in view.output


@contextlib.contextmanager
def busy_port() -> Iterator[int]:
    collector = Collector()
    yield int(collector.endpoint.rpartition(":")[2])
    collector.close()


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    def fails(*arguments: str) -> str:
        result = CliRunner().invoke(otel_links, ["view", *arguments])
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        (line,) = result.output.splitlines()
        return line

    with busy_port() as port:
        assert f"port {port} can't be had" in fails("--port", str(port))
    assert "there is no folder" in fails("--port", "0", "--html", str(tmp_path / "no" / "page.html"))
    assert "does not take OTLP over HTTP" in fails("--port", "0", "--forward", "http://127.0.0.1:1")


def test_without_its_parts_it_says_how_to_get_them() -> None:
    blocked = (
        "import sys; sys.modules['opentelemetry.proto'] = None\n"
        "from celery_otel_links.cli import otel_links; otel_links(['view'])"
    )
    result = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "pip install 'celery-otel-links[view]'" in result.stderr


def test_celery_finds_the_commands_without_the_viewers_parts() -> None:
    parts = ("rich", "google.protobuf", "opentelemetry.proto")
    code = f"import sys, celery_otel_links.cli; print([part for part in {parts} if part in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"
