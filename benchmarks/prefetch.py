"""What a worker's buffer does to short tasks behind long ones: the same tasks with three settings of it.

Two workers of one process each, together half busy: a short task every 50 ms, a long one every 4 s, in the same queue.
Prints, from the histograms that the workers exported, how long the short tasks waited, and where.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from celery import Celery
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from servers import valkey

import celery_otel_links

SETTINGS = [
    ("prefetch 8", {"worker_prefetch_multiplier": 8}),
    ("prefetch 1", {"worker_prefetch_multiplier": 1}),
    ("prefetch 1, acks late", {"worker_prefetch_multiplier": 1, "task_acks_late": True}),
]
PARTS = ("queue", "broker", "prefetch")
SHORT, LONG = 0.02, 2.0  # seconds that a task takes
APART, EVERY = 0.05, 80  # seconds between two tasks; of so many one is long

app = Celery("prefetch", broker=os.environ.get("PREFETCH_BROKER", "memory://"))
app.conf.update(json.loads(os.environ.get("PREFETCH_SETTINGS", "{}")), task_ignore_result=True)

if "PREFETCH_METRICS" in os.environ:
    out = open(os.environ["PREFETCH_METRICS"], "a", buffering=1 << 20)  # noqa: SIM115
    exporter = ConsoleMetricExporter(out, formatter=lambda data: data.to_json(indent=None) + "\n")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=250)
    celery_otel_links.setup(app, meter_provider=MeterProvider([reader]))
else:
    celery_otel_links.setup(app)


@app.task(name="short")
def short(seconds: float) -> None:
    time.sleep(seconds)


@app.task(name="long")
def long(seconds: float) -> None:
    time.sleep(seconds)


class Histogram:
    """The sum of what the processes exported for one instrument and one task."""

    def __init__(self, files: list[Path], name: str, task: str) -> None:
        self.count, self.sum = 0, 0.0
        self.bounds, self.buckets = [], []
        for file in files:
            for point in latest(file, name, task):
                self.count += point["count"]
                self.sum += point["sum"]
                self.bounds = point["explicit_bounds"]
                self.buckets = [a + b for a, b in zip(self.buckets or [0] * 99, point["bucket_counts"], strict=False)]

    def quantile(self, share: float) -> float:
        """Linear between the boundaries of its bucket, as Prometheus has it."""
        below, wanted = 0, share * self.count
        for index, count in enumerate(self.buckets):
            if count and below + count >= wanted:
                low, high = self.bounds[index - 1] if index else 0.0, self.bounds[index]
                return low + (high - low) * (wanted - below) / count
            below += count
        return 0.0


def latest(file: Path, name: str, task: str) -> list[dict]:
    """The points of one worker, whose only child was the only one to record any."""
    found: list[dict] = []
    for line in file.read_text().splitlines() if file.exists() else ():
        for resource in json.loads(line)["resource_metrics"]:
            for metric in (metric for scope in resource["scope_metrics"] for metric in scope["metrics"]):
                points = [
                    one for one in metric["data"]["data_points"] if one["attributes"].get("celery.task_name") == task
                ]
                if metric["name"] == name and points:
                    found = points
    return found


@contextmanager
def worker(broker: str, settings: dict, file: Path) -> Iterator[None]:
    environment = {**os.environ, "PREFETCH_BROKER": broker, "PREFETCH_SETTINGS": json.dumps(settings)}
    environment |= {
        "PREFETCH_METRICS": str(file),
        "C_FORCE_ROOT": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "celery", "-A", "prefetch", "worker", "--concurrency", "1", "--without-gossip"]
    command += ["--without-mingle", "--without-heartbeat", "--loglevel", "ERROR", "--hostname", f"{file.stem}@%h"]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parent, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def one_setting(broker: str, settings: dict, tasks: int, directory: Path) -> dict[str, Histogram]:
    """The histograms of the short tasks."""
    files = [directory / f"worker-{number}.jsonl" for number in (1, 2)]

    def seen(task: str) -> int:
        return Histogram(files, "celery.task.latency.queue", task).count

    with ExitStack() as workers:
        for file in files:
            workers.enter_context(worker(broker, settings, file))
        wait_until(lambda: app.control.inspect(timeout=0.5).ping() is not None and len(app.control.ping()) == 2)
        started = time.monotonic()
        for number in range(tasks):
            time.sleep(max(0.0, started + number * APART - time.monotonic()))
            if number % EVERY == EVERY // 4:
                long.delay(LONG)
            else:
                short.delay(SHORT)
        wait_until(lambda: seen("short") + seen("long") >= tasks)
    return {part: Histogram(files, f"celery.task.latency.{part}", "short") for part in PARTS}


def wait_until(condition) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the workers do not finish")
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=280)
    options = parser.parse_args()
    print(f"{'seconds':24}{'broker':>9}{'prefetch':>10}{'queue':>9}{'p50':>9}{'p95':>9}{'p99':>9}")
    with valkey() as broker:
        app.conf.broker_url = broker
        for name, settings in SETTINGS:
            with tempfile.TemporaryDirectory() as directory:
                seen = one_setting(broker, settings, options.tasks, Path(directory))
            queue, broker_part, prefetch = (seen[part] for part in PARTS)
            means = [one.sum / one.count for one in (broker_part, prefetch, queue)]
            numbers = [*means, *(queue.quantile(share) for share in (0.5, 0.95, 0.99))]
            print(f"{name:24}{means[0]:9.3f}{means[1]:10.3f}" + "".join(f"{one:9.3f}" for one in numbers[2:]))
    print("(broker, prefetch and queue: the mean of the short tasks; the percentiles: of their queue)")


if __name__ == "__main__":
    main()
