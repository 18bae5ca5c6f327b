"""Does anything grow with the number of tasks? Many tasks through one real worker, and the memory that it takes.

Samples the resident memory of the producer, the worker's main process and its child while the tasks run, and exits with
1 if one of them takes over 2 MiB more after the first quarter than at its end. One task in twenty fails, one retries,
one publishes another. `--bare` does the same without instrumentation: what Celery itself does.
"""

import argparse
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import redis
from celery import Celery, signals
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from results import Result, show_results, write
from servers import end_worker, valkey

MOST_GROWTH = 2 * 2**20
SAMPLES = 40
AHEAD = 400  # messages that wait in the queue at most

app = Celery("memory", broker=os.environ.get("MEMORY_BROKER", "memory://"))
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False, worker_prefetch_multiplier=8)


class Discard(SpanExporter):
    """A collector that takes everything at once."""

    def export(self, spans):
        return SpanExportResult.SUCCESS


if "MEMORY_BARE" not in os.environ:
    import celery_otel_links

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Discard(), schedule_delay_millis=200))
    celery_otel_links.setup(app, tracer_provider=tracers, meter_provider=MeterProvider([InMemoryMetricReader()]))


@signals.worker_process_init.connect
def freeze(**_):
    gc.collect()
    gc.freeze()  # makes collecting cheap


@app.task(name="memory.work")
def work(number):
    # Celery leaves a failed or retried task's frames in a reference cycle, 50 KiB each, instrumentation or not. Until
    # the collector comes by itself that is megabytes up and down.
    if number % 100 == 0:
        gc.collect()


@app.task(name="memory.fail")
def fail(number):
    raise ValueError(number)


@app.task(name="memory.again", bind=True)
def again(self, number):
    if not self.request.retries:
        raise self.retry(countdown=0)


@app.task(name="memory.publish")
def publish(number):
    work.delay(number)


def task_of(number: int):
    return {5: fail, 10: again, 15: publish}.get(number % 20, work)


@contextmanager
def worker() -> Iterator[psutil.Process]:
    """A prefork worker with one child, in a process group that is gone afterwards."""
    command = [sys.executable, "-m", "celery", "-A", "memory", "worker", "--concurrency=1", "--loglevel=CRITICAL"]
    command += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "C_FORCE_ROOT": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield psutil.Process(process.pid)
    finally:
        end_worker(process)


def wait_for_room(server: redis.Redis, most: int, main: psutil.Process) -> None:
    """Until no more than `most` messages wait."""
    deadline = time.monotonic() + 60
    while server.llen("celery") + (0 if most else server.hlen("unacked")) > most:
        if not main.is_running() or main.status() == psutil.STATUS_ZOMBIE or time.monotonic() > deadline:
            raise RuntimeError("the worker does not take its tasks")
        time.sleep(0.005)


def sampled(tasks: int, server: redis.Redis, main: psutil.Process) -> list[dict[str, int]]:
    """Sends the tasks, and samples the memory at regular counts of them."""
    work.delay(0)
    wait_for_room(server, 0, main)
    (child,) = main.children()
    processes = {"producer": psutil.Process(), "main": main, "child": child}
    samples = []
    for number in range(1, tasks + 1):
        task_of(number).delay(number)
        if number % 100 == 0:
            wait_for_room(server, AHEAD, main)
        if number % (tasks // SAMPLES) == 0:
            wait_for_room(server, 0, main)
            samples.append({name: process.memory_info().rss for name, process in processes.items()})
            mebibytes = "  ".join(f"{name} {rss / 2**20:7.2f} MiB" for name, rss in samples[-1].items())
            print(f"{number:7} tasks  {mebibytes}", flush=True)
    return samples


def grown(samples: list[dict[str, int]]) -> dict[str, int]:
    """What each process takes at most beyond what it took after the first quarter."""
    settled = samples[len(samples) // 4 - 1]
    later = samples[len(samples) // 4 :]
    return {name: max(sample[name] for sample in later) - settled[name] for name in settled}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200_000)
    parser.add_argument("--bare", action="store_true", help="without instrumentation")
    parser.add_argument("--json", type=Path, help="a file for the results")
    options = parser.parse_args()
    if options.bare and "MEMORY_BARE" not in os.environ:
        return subprocess.call([sys.executable, *sys.argv], env={**os.environ, "MEMORY_BARE": "1"})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    with valkey() as url:
        os.environ["MEMORY_BROKER"] = url
        app.conf.broker_url = url
        with worker() as process, redis.Redis.from_url(url) as server:
            growth = grown(sampled(options.tasks, server, process))
    seconds = time.monotonic() - started
    print(f"\n{options.tasks} tasks in {seconds:.0f} s; most growth after the first {options.tasks // 4}:")
    most = MOST_GROWTH / 2**20
    results = [Result(f"{name} process, MiB", size / 2**20, 0.0, most) for name, size in growth.items()]
    show_results(results)
    write(options.json, results)
    return 1 if max(growth.values()) > MOST_GROWTH else 0


if __name__ == "__main__":
    # The worker imports this file by its name; what runs here has to be the same module.
    import memory

    sys.exit(memory.main())
