"""What links cost: fan-in per header task and per body of a chord, on each result backend, beside the same without it;
and reserving the identity of a run, per linked publish.

Chords with and without fan-in in alternating rounds in this one process, with real result backends: Valkey, files, the
cache backend's memory and SQLAlchemy on SQLite. Processor time of all threads; the middle third of rounds counts. A
body is published by its last header task or by `celery.chord_unlock`, so the body's cost is the time of that.
"""

import argparse
import gc
import logging
import random
import sys
import tempfile
from pathlib import Path
from statistics import fmean
from time import process_time

from celery import Celery, chord
from celery.app.trace import build_tracer
from celery.worker.request import Request
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from results import Result, middle, show_results, write
from servers import valkey

from celery_otel_links import CeleryLinksInstrumentor

UNLOCK = "celery.chord_unlock"


def header(number):
    return number


def body(numbers):
    return None


class Bench:
    """Chords of one app on one result backend."""

    def __init__(self, name: str, backend: str) -> None:
        self.name = name
        self.app = Celery(name, broker="memory://", backend=backend, set_as_current=True)
        self.header = self.app.task(name="bench.header")(header)
        self.body = self.app.task(name="bench.body")(body)
        self.app.finalize()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SpanProcessor())

    def one_chord(self, header_tasks: int, fan_in: bool) -> tuple[float, float]:
        """Microseconds per header task, and for whatever publishes the body beyond a header task's."""
        CeleryLinksInstrumentor().instrument(tracer_provider=self.tracers, config={"fan_in": fan_in})
        try:
            with self.tracers.get_tracer("bench").start_as_current_span("request"):
                chord([self.header.s(number) for number in range(header_tasks)], self.body.s()).apply_async()
            messages = self._published()
            runs = sorted((self._run(message) for message in messages), key=lambda run: run[0] == UNLOCK)
            gc.collect()
            gc.disable()
            seconds = []
            for _, run in runs:
                start = process_time()
                run()
                seconds.append(1e6 * (process_time() - start))
            if not any(message.headers["task"] == self.body.name for message in self._published()):
                raise RuntimeError(f"{self.name}: the chord's body was not published")
        finally:
            gc.enable()
            CeleryLinksInstrumentor().uninstrument()
        per_header = fmean(seconds[: header_tasks - 1])
        body = seconds[header_tasks:] or [seconds[-1] - per_header]
        return per_header, sum(body)

    def _run(self, message):
        task = self.app.tasks[message.headers["task"]]
        request = Request(message, app=self.app, hostname="worker@bench", task=task)
        args, kwargs, embed = message.payload
        ready = {**request.request_dict, **embed, "args": args, "kwargs": kwargs, "is_eager": False}
        tracer = build_tracer(task.name, task, app=self.app, hostname="worker@bench")
        return task.name, lambda: tracer(request.id, args, kwargs, ready)

    def _published(self) -> list:
        messages = []
        with self.app.connection_for_read() as connection:
            while message := connection.default_channel.basic_get("celery", no_ack=True):
                messages.append(message)
        return messages


def compared(name: str, without: list[float], with_it: list[float]) -> Result:
    """The ratio of the two in one round, since a shared machine is faster in one than in the next."""
    ratios = [after / before for before, after in zip(without, with_it, strict=True)]
    return Result(name, middle(ratios), abs(middle(ratios[::2]) - middle(ratios[1::2])) / 2)


def measure(bench: Bench, header_tasks: int, rounds: int) -> list[Result]:
    """Prints one line of microseconds, returns the ratios."""
    costs: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for number in range(rounds + 1):
        for fan_in in random.sample([True, False], 2):
            cost = bench.one_chord(header_tasks, fan_in)
            if number:  # the first round warms up
                costs[fan_in].append(cost)
    cells, found = [f"{bench.name:12}"], []
    for part, of in ((0, "a header task"), (1, "the body")):
        without, with_it = ([cost[part] for cost in costs[fan_in]] for fan_in in (False, True))
        cells.append(f"{middle(without):10.0f}{middle(with_it):10.0f}{middle(with_it) - middle(without):+9.0f}")
        found.append(compared(f"{bench.name}: {of} / without fan-in", without, with_it))
    print(*cells, flush=True)
    return found


class OutOfReach:
    """A provider whose tracers have no id generator that can be reached, so that nothing can be reserved."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *args, **kwargs):
        start_span = self._provider.get_tracer(*args, **kwargs).start_span
        return type("Tracer", (), {"start_span": staticmethod(start_span)})()


def reservation(rounds: int, publishes: int = 400) -> Result:
    """Prints one line: microseconds per linked publish without and with a reserved identity. Returns the ratio."""
    app = Celery("reservation", broker="memory://", set_as_current=True)
    task = app.task(name="bench.linked", otel_propagation="link", ignore_result=True)(header)
    app.finalize()
    tracers = TracerProvider()
    tracers.add_span_processor(SpanProcessor())
    costs: dict[bool, list[float]] = {True: [], False: []}
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for number in range(rounds + 1):
            for reserving in random.sample([True, False], 2):
                provider = tracers if reserving else OutOfReach(tracers)
                CeleryLinksInstrumentor().instrument(tracer_provider=provider, config={})
                gc.collect()
                gc.disable()
                with tracers.get_tracer("bench").start_as_current_span("request"):
                    start = process_time()
                    for argument in range(publishes):
                        task.apply_async((argument,), producer=producer)
                    cost = 1e6 * (process_time() - start) / publishes
                gc.enable()
                CeleryLinksInstrumentor().uninstrument()
                connection.default_channel.queue_purge("celery")
                if number:  # the first round warms up
                    costs[reserving].append(cost)
    without, with_it = middle(costs[False]), middle(costs[True])
    print(f"us, a linked publish: {without:.1f}, reserving {with_it:.1f}, {with_it - without:+.1f}", flush=True)
    return compared("a linked publish, reserving / not", costs[False], costs[True])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--header-tasks", type=int, default=40, help="of each chord")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="a file for the results")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    results = [reservation(options.rounds)]
    print(f"{'us, a chord of ' + str(options.header_tasks):12}")
    print(f"{'':12} {'header':>10}{'fan-in':>10}{'':9}{'body':>10}{'fan-in':>10}")
    with tempfile.TemporaryDirectory() as directory, valkey() as redis:
        (files := Path(directory, "results")).mkdir()
        for name, backend in {
            "redis": redis,
            "filesystem": files.as_uri(),
            "cache": "cache+memory://",
            "sqlalchemy": f"db+sqlite:///{directory}/results.sqlite",
        }.items():
            results += measure(Bench(name, backend), options.header_tasks, options.rounds)
    print()
    show_results(results)
    write(options.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
