"""What instrumentation adds to a real prefork worker: processor time of its child and its main process per no-op task.

For each instrumentation there is a worker with one child, all on one Valkey of this benchmark's own, each in its own
database. In turns they get a few hundred messages at once, published here under the same instrumentation, and nothing
to do otherwise. A turn lasts until the child has exported its spans and metrics (encoded, and dropped), and counts in
units of the turns without instrumentation before and after it; the middle third of the turns is the cost. Two
processes of one program differ by up to a tenth; therefore all workers are started anew some times, and the mean of
these counts.

Processor time is user and system, of all threads, from the operating system's clock of the process (Linux).
"""

import argparse
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean

import psutil
import redis
import worker_app
from opentelemetry import context, trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from results import Result, middle, show, show_results, write
from servers import end_worker, valkey
from variants import CONNECT, NAMES

STAGED = 15
"""The database where messages wait until all are there."""
PROCESSES = ("child", "main")
GOALS = ("child", "link")
"""What has to add at most what contrib adds to the child, and to the main process at most some microseconds."""
MOST_IN_MAIN = 25.0


class Worker:
    """One worker under one instrumentation."""

    def __init__(self, instrumentation: str, broker: str, database: int, process: subprocess.Popen) -> None:
        self.instrumentation = instrumentation
        self._process = process
        self._database = database
        self._server = redis.Redis.from_url(f"{broker}/{database}", socket_timeout=None)
        self._staged = redis.Redis.from_url(f"{broker}/{STAGED}")

    def turn(self, tasks: int) -> dict[str, float]:
        """Microseconds of processor time per task, by process."""
        publish(self.instrumentation, tasks)
        before = {name: at_rest(process) for name, process in self._processes().items()}
        if not self._staged.move("celery", self._database):
            raise RuntimeError("the messages could not be handed over")
        if self._server.blpop([worker_app.DONE], timeout=60) is None:
            raise RuntimeError(f"the worker with {self.instrumentation} does not run its tasks")
        after = {name: at_rest(process) for name, process in self._processes().items()}
        return {name: 1e6 * (after[name] - before.get(name, 0.0)) / tasks for name in PROCESSES}

    def _processes(self) -> dict[str, psutil.Process]:
        """Without a child, as long as the worker starts."""
        main = psutil.Process(self._process.pid)
        return dict(zip(("main", "child"), (main, *main.children()), strict=False))


def processor_time(pid: int) -> float:
    """Seconds of all threads of a process, those that have ended too, by Linux' clock of it (`clock_getcpuclockid`)."""
    return time.clock_gettime(~pid << 3 | 2)


def at_rest(process: psutil.Process) -> float:
    """The same, once the process sleeps, and does not only wait for a processor."""
    deadline, seen = time.monotonic() + 30, -1.0
    while time.monotonic() < deadline:
        now = processor_time(process.pid)
        if now - seen < 1e-4 and process.status() == psutil.STATUS_SLEEPING:
            return now
        seen = now
        time.sleep(0.02)
    raise TimeoutError(f"process {process.pid} does not come to rest")


def publish(instrumentation: str, tasks: int) -> None:
    """Puts messages where no worker takes them yet, the last of which has the child export."""
    tracers = TracerProvider()
    disconnect = CONNECT[instrumentation](tracers, NoOpMeterProvider())
    tracer = tracers.get_tracer("request")
    try:
        for _ in range(tasks):
            # A request of its own for each: hundreds from one span would be a loop, which is another mode.
            token = context.attach(trace.set_span_in_context(tracer.start_span("request")))
            worker_app.noop.apply_async((1, 2))
            context.detach(token)
        worker_app.flush.apply_async()
    finally:
        disconnect()


@contextmanager
def worker(instrumentation: str, broker: str, database: int) -> Iterator[Worker]:
    """A worker that has run its first tasks, in a process group that is gone afterwards."""
    command = [sys.executable, "-m", "celery", "-A", "worker_app", "worker", "--concurrency=1", "--loglevel=ERROR"]
    command += ["--without-mingle", "--without-gossip", "--without-heartbeat", f"--hostname={database}@bench"]
    environment = {
        **os.environ,
        "BENCH_BROKER": f"{broker}/{database}",
        "BENCH_INSTRUMENTATION": instrumentation,
        "C_FORCE_ROOT": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])),
    }
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        one = Worker(instrumentation, broker, database, process)
        one.turn(100)
        yield one
    finally:
        end_worker(process)


class Turns:
    """What each turn took, in units of its neighbours without instrumentation."""

    def __init__(self, tasks: int) -> None:
        self._tasks = tasks
        self.samples: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self.unit: defaultdict[str, list[float]] = defaultdict(list)
        """Microseconds of a task without instrumentation, by process."""

    def take(self, base: Worker, others: list[Worker]) -> None:
        """One turn of each in random order."""
        before = self._base(base)
        for one in random.sample(others, len(others)):
            found, after = one.turn(self._tasks), self._base(base)
            for process in PROCESSES:
                relative = found[process] / (before[process] + after[process]) * 2
                self.samples[one.instrumentation, process].append(relative)
            before = after

    def _base(self, base: Worker) -> Mapping[str, float]:
        found = base.turn(self._tasks)
        for process in PROCESSES:
            self.unit[process].append(found[process])
        return found

    def added(self, instrumentation: str, process: str) -> float:
        """What instrumentation adds to a task, in units of one without."""
        return middle(self.samples[instrumentation, process]) - 1


def added(starts: list[Turns], instrumentation: str, process: str) -> float:
    """The same, of some starts of the workers."""
    return fmean(turns.added(instrumentation, process) for turns in starts)


def results(starts: list[Turns], instrumentations: list[str]) -> list[Result]:
    """The child's ratios to what contrib adds; the main process's microseconds, and what they are of all it does."""
    unit = min(min(turns.unit["main"]) for turns in starts)

    def noise(of: Callable[[list[Turns]], float]) -> float:
        return abs(of(starts[::2]) - of(starts[1::2])) / 2

    found = []
    for name in instrumentations:

        def ratio(some: list[Turns], name: str = name) -> float:
            return added(some, name, "child") / added(some, "contrib", "child")

        goal = 1.0 if name in GOALS else None
        found.append(Result(f"{name}: child process / contrib", ratio(starts), noise(ratio), goal))
    for name in instrumentations:

        def share(some: list[Turns], name: str = name) -> float:
            return added(some, name, "main")

        goal = MOST_IN_MAIN if name in GOALS else None
        found.append(Result(f"{name}: main process / none", 1 + share(starts), noise(share)))
        found.append(Result(f"{name}: main process, us more", unit * share(starts), unit * noise(share), goal))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="child and link alone, in a minute")
    parser.add_argument("--starts", type=int, help="how often the workers are started: 8, or 2 with --quick")
    parser.add_argument("--turns", type=int, default=6, help="of each worker after each start")
    parser.add_argument("--tasks", type=int, default=300, help="per turn")
    parser.add_argument("--json", type=Path, help="a file for the results")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = ["none", "contrib", *GOALS]
    if NAMES in CONNECT and not options.quick:
        names.append(NAMES)
    starts = [Turns(options.tasks) for _ in range(options.starts or (2 if options.quick else 8))]
    with valkey() as url:
        broker = url.rpartition("/")[0]
        worker_app.app.conf.broker_url = f"{broker}/{STAGED}"
        for turns in starts:
            with ExitStack() as running:
                base, *others = [
                    running.enter_context(worker(name, broker, number)) for number, name in enumerate(names)
                ]
                for _ in range(options.turns):
                    turns.take(base, others)
    shares = [["of the same without instrumentation", *PROCESSES], ["none", "1.00", "1.00"]]
    shares += [[name, *(f"{1 + added(starts, name, process):.2f}" for process in PROCESSES)] for name in names[1:]]
    show(shares)
    found = results(starts, names[2:])
    show_results(found)
    write(options.json, found, shares)
    return 0


if __name__ == "__main__":
    sys.exit(main())
