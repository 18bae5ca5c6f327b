"""Terminals in which the commands of a page are typed as they stand there, but for the ports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.docs.pages import blocks
from tests.harness import processes, servers
from tests.harness.collector import collector
from tests.harness.recording import SpanFile
from tests.harness.waiting import until


class Terminals:
    """Runs blocks of one page in a folder. Redis' port and OTLP's are replaced by free ones, wherever they stand.

    Of the page's processes none is watched: its viewer passes on what it gets to a collector that checks it.
    """

    def __init__(self, page: str, folder: Path, checking: str, checked: SpanFile) -> None:
        self._page = page
        self._checking = checking
        self._checked = checked
        self._folder = folder
        self._ports = {"6379": str(servers.free_port()), "4318": str(servers.free_port())}
        self._started: list[Any] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CELERY_"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
        self._env = kept | {"PATH": path, "PYTHONUNBUFFERED": "1", "C_FORCE_ROOT": "1", "NO_PROXY": "127.0.0.1"}

    def write(self, name: str, text: str) -> None:
        """A file of the page."""
        (self._folder / name).write_text(self._here(text))

    def block(self, beginning: str) -> str:
        """The one command block of the page in which this stands."""
        (found,) = {one.text for one in blocks(self._page) if one.language == "sh" and beginning in one.text}
        return found

    def start(self, text: str, ready: str = "", timeout: float = 30) -> subprocess.Popen[bytes]:
        """Type it, and wait until the program says so; without ``ready``, until it has ended well."""
        folder = self._folder / f"terminal-{len(self._started)}"
        folder.mkdir()
        command = ["bash", "-ec", f"cd {self._folder}\n{self._here(text)}"]
        process = processes.start(command, directory=folder, env=self._env)
        self._started.append(process)

        def output() -> str:
            return "".join((folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))

        until(lambda: process.poll() is not None or (ready and ready in output()), what=output, timeout=timeout)
        assert process.poll() is None if ready else process.poll() == 0, output()
        return process

    def runs(self, name: str, count: int) -> list[dict[str, Any]]:
        """What the viewer has got by this name, when it has so many, and all that it has was checked."""

        def found() -> list[dict[str, Any]] | None:
            spans = self.spans()
            named = [span for span in spans if span["n"] == name]
            return named if len(named) == count and len(self._checked.spans()) >= len(spans) else None

        return until(
            found,
            what=lambda: f"{count} x {name}; {len(self._checked.spans())} of {[span['n'] for span in self.spans()]}",
            timeout=30,
        )

    def spans(self) -> list[dict[str, Any]]:
        """All that the viewer has got."""
        with urlopen(f"http://127.0.0.1:{self._ports['4318']}/news?after=0", timeout=30) as answer:
            return json.load(answer)["spans"]

    def close(self) -> None:
        """End everything, the last that was started first."""
        for process in reversed(self._started):
            processes.end(process)

    def _here(self, text: str) -> str:
        text = re.sub("|".join(self._ports), lambda found: self._ports[found[0]], text)
        text = text.replace('redis://localhost"', f'redis://localhost:{self._ports["6379"]}"')
        view = f"otel-links view --port {self._ports['4318']} --forward {self._checking}"
        return text.replace("otel-links view", view)


@contextmanager
def terminals(page: str, folder: Path) -> Iterator[Terminals]:
    """Terminals for that page, gone afterwards."""
    checked = SpanFile(folder / "checked")
    with collector(checked.path) as checking:
        opened = Terminals(page, folder, checking, checked)
        try:
            yield opened
        finally:
            opened.close()
