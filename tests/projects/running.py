"""A project of docs/projects, started as its page says: its commands, and the spans that its processes export."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.harness import processes, servers
from tests.harness.recording import Span, SpanFile
from tests.harness.waiting import until

REPOSITORY = Path(__file__).parents[2]
PROJECTS = REPOSITORY / "docs" / "projects"
BIN = Path(sys.executable).parent
FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(page: str) -> str:
    return (REPOSITORY / "docs" / page).read_text()


def command(page: str, words: str) -> str:
    """The line with these words among the commands of a page."""
    lines = [line for block in COMMANDS.findall(text_of(page)) for line in block.splitlines()]
    (found,) = [line for line in lines if words in line]
    return str(found)


def exports(page: str) -> dict[str, str]:
    """What the page exports before its commands."""
    lines = [line for block in COMMANDS.findall(text_of(page)) for line in block.splitlines()]
    words = [word for line in lines if line.startswith("export ") for word in shlex.split(line)[1:]]
    return dict(word.split("=", 1) for word in words)


@dataclass
class Started:
    """A process and what it has written."""

    process: subprocess.Popen[bytes]
    directory: Path

    @property
    def output(self) -> str:
        return "".join((self.directory / name).read_text(errors="replace") for name in ("stdout", "stderr"))

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and wait for that. Its main process answers the signal, as under systemd or Kubernetes."""
        self.process.send_signal(signum)
        self.process.wait(20)


@dataclass
class Project:
    """A project whose processes read the broker and the collector from their environment."""

    name: str
    page: str
    directory: Path
    env: Mapping[str, str]
    spans: SpanFile
    started: list[Started] = field(default_factory=list)

    def start(self, line: str, ready: str) -> Started:
        """Run a command of the page, variables in front of it included, until it has written that it is ready."""
        words = shlex.split(line, comments=True)
        env = exports(self.page) | dict(self.env)  # the page's collector is not ours
        while re.match(r"[A-Z_]+=", words[0]):
            name, _, env[name] = words.pop(0).partition("=")
        directory = self.directory / f"process-{len(self.started)}"
        directory.mkdir()
        chdir = ["env", f"--chdir={PROJECTS / self.name}"]
        one = Started(processes.start([*chdir, *words], directory=directory, env=env), directory)
        self.started.append(one)
        until(lambda: ready in one.output or one.process.poll() is not None, what=lambda: one.output, timeout=30)
        assert one.process.poll() is None, one.output
        return one

    def start_worker(self) -> Started:
        return self.start(command(self.page, "celery -A shop worker"), " ready.")

    def start_web(self, words: str, port_of_page: int = 8000, more: str = "") -> tuple[Started, str]:
        """The web server of the page, on a free port in place of the page's; its address."""
        port = servers.free_port()
        line = command(self.page, words).replace(str(port_of_page), str(port))
        web = self.start(f"{line} {more}", "")
        url = f"http://127.0.0.1:{port}"
        until(lambda: servers.accepts(port) or web.process.poll() is not None, what=lambda: web.output, timeout=30)
        return web, url

    def seen(self, ready: Callable[[list[Span]], object]) -> list[Span]:
        """The spans, once they are what is waited for."""

        def look() -> list[Span] | None:
            spans = list(self.spans.spans())
            return spans if ready(spans) else None

        def what() -> str:
            return f"{[span.name for span in self.spans.spans()]}" + "".join(one.output for one in self.started)

        return until(look, what=what, timeout=30) or []

    def end(self) -> None:
        for one in self.started:
            processes.end(one.process)


def environment(home: Path, broker: str, endpoint: str) -> dict[str, str]:
    """As on the pages: a collector by OTLP over HTTP. The broker of a Celery app can be told by the environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CELERY_", "DJANGO_"))}
    return kept | {
        "HOME": str(home),  # gunicorn writes there
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "PYTHONPATH": str(REPOSITORY),
        # One place for all projects of a run, outside of the repository: an environment may come without bytecode.
        "PYTHONPYCACHEPREFIX": str(home.parent / "bytecode"),
        "PYTHONUNBUFFERED": "1",
        "CELERY_BROKER_URL": broker,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


def send(url: str, method: str = "GET") -> None:
    """A request of somebody who is not traced. A server that has only just opened its port may refuse one."""

    def answers() -> bool:
        try:
            with urlopen(Request(url, method=method), timeout=20) as answer:
                return answer.status == 200
        except URLError as error:
            if isinstance(error.reason, ConnectionError):
                return False
            raise

    until(answers, what=url)


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def one(spans: list[Span], name: str) -> Span:
    (found,) = named(spans, name)
    return found


def root_of(spans: list[Span], kind: str = "SERVER") -> Span:
    """The span of the request."""
    (found,) = [span for span in spans if span.kind == kind and span.parent is None]
    return found


def continues(spans: list[Span], task: str) -> bool:
    """Whether the task ran below its PRODUCER span, which is below the request."""
    run, published = one(spans, f"run/{task}"), one(spans, f"apply_async/{task}")
    return (run.trace, run.parent, run.links) == (published.trace, published.id, ())


def links(spans: list[Span], task: str) -> bool:
    """Whether the task ran as a root with a link to its PRODUCER span, which has one to the run."""
    run, published = one(spans, f"run/{task}"), one(spans, f"apply_async/{task}")
    to_producer = [link.target for link in run.links if link.kind == "producer"]
    to_run = [link.target for link in published.links if link.kind == "consumer"]
    return run.parent is None and run.trace != published.trace and (to_producer, to_run) == ([published.key], [run.key])
