"""A real Prometheus that scrapes this machine's ports and evaluates the rules, every minute of which takes a second."""

from __future__ import annotations

import contextlib
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.harness import processes
from tests.harness.servers import free_port
from tests.harness.waiting import until
from tests.operated.test_rules import PACK, filled_in

SECONDS = {"m": 1, "h": 60, "d": 1440}
"""What a minute, an hour and a day last."""


def hastened(rules: str) -> str:
    """The rules with all their durations in seconds instead of minutes."""
    return re.sub(r"(?<=[\[ ])(\d+)([mhd])(?=[\]\s)])", lambda found: f"{int(found[1]) * SECONDS[found[2]]}s", rules)


class Prometheus:
    """A server that runs."""

    def __init__(self, port: int) -> None:
        self.port = port

    def _get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
        with opener.open(f"http://127.0.0.1:{self.port}/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values of a query; what is no number is left out."""
        found = self._get("api/v1/query", query=expression)["result"]
        values = [(one["metric"], float(one["value"][1])) for one in found]
        return [(labels, value) for labels, value in values if value == value]

    def alerts(self) -> set[str]:
        """The alerts that are raised."""
        return {one["labels"]["alertname"] for one in self._get("api/v1/alerts")["alerts"] if one["state"] == "firing"}

    def up(self) -> int:
        """How many targets are scraped."""
        return int(sum(value for _, value in self.query("up")))


@contextlib.contextmanager
def prometheus(folder: Path, targets: Sequence[int]) -> Iterator[Prometheus]:
    """It scrapes the targets twice a second, and evaluates the rules as often."""
    port = free_port()
    (folder / "rules.yml").write_text(hastened((PACK / "rules.yml").read_text()))
    (folder / "slo.yml").write_text(hastened(filled_in()))
    jobs = [{"job_name": "celery", "static_configs": [{"targets": [f"127.0.0.1:{one}" for one in targets]}]}]
    every = {"scrape_interval": "500ms", "evaluation_interval": "500ms", "scrape_timeout": "500ms"}
    config = {"global": every, "rule_files": ["rules.yml", "slo.yml"], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    process = processes.start(command, directory=folder)
    server = Prometheus(port)

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return server.up() == len(targets)
        return False

    try:
        until(answers, what=lambda: f"all targets: {(folder / 'stderr').read_text()}", timeout=20)
        yield server
    finally:
        processes.end(process)
