"""The whole bill of a task beside contrib's (opentelemetry-instrumentation-celery), in processor time.

The bill is the path of the task (publish, receive, run), the OTLP encoding of its spans, and its metrics in whatever
thread. All variants run in this one process, connected and disconnected in short alternating rounds with the garbage
collector off. A shared machine is twice as fast in one second as in the next. Therefore there is a round without
instrumentation before and after each, and each counts in units of these two; the middle third of them is the cost.

- Publishing is `apply_async` to `memory://` inside a request's span, receiving is the `task_received` signal, running
  is Celery's own tracer on the messages that were published: the time of the main thread, without a meter provider.
- Encoding is `encode_spans` and `SerializeToString` of what a BatchSpanProcessor would have by then, a round's spans,
  the publisher's and the worker's apart.
- Metrics are what the path takes more with a meter provider than in the round beside it, what other threads take until
  they are done, and what a collection takes more than the next one.
- Unsampled is below a parent that is not sampled, which the sampler keeps so.
"""

import argparse
import cProfile
import logging
import pstats
import random
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from results import Result, Table, middle, show, show_results, write
from rounds import Bench
from variants import BASE, NAMES, Variant, variants

MEASURED = ("publish", "receive", "run", "path", "encoding")
PARTS = (*MEASURED, "metrics", "bill")
RECORDED_TASKS = 400
Samples = Mapping[tuple[Variant, str], list[float]]
"""What each part took in each round, in units of the path of a task without instrumentation."""


class Measuring:
    """Rounds of a list of variants, and what they took."""

    def __init__(self, bench: Bench, tasks: int) -> None:
        self._bench = bench
        self._tasks = tasks
        self.samples: defaultdict[tuple[Variant, str], list[float]] = defaultdict(list)
        self.unit: list[float] = []
        """Microseconds of a task without instrumentation."""

    def path(self, chosen: list[Variant]) -> None:
        """One round of each in random order, those with and without metrics side by side."""
        unmetered = [one for one in chosen if not one.metrics]
        before = self._base()
        for plain in random.sample(unmetered, len(unmetered)):
            beside = [one for one in (plain, plain.with_metrics()) if one in chosen]
            rounds = {one: self._bench.one_round(one, self._tasks) for one in random.sample(beside, len(beside))}
            after = self._base()
            unit = (before + after) / 2
            for part in MEASURED:
                self.samples[plain, part].append(getattr(rounds[plain], part) / unit)
            if (metered := plain.with_metrics()) in rounds:
                self.samples[plain, "on path"].append((rounds[metered].path - rounds[plain].path) / unit)
            before = after

    def metrics(self, chosen: list[Variant]) -> None:
        """What each records off the path, which takes some seconds, most of them waiting."""
        idle = self._bench.idle_share()
        for variant in chosen:
            before = self._base()
            found = self._bench.recorded_elsewhere(variant, RECORDED_TASKS, idle)
            plain = replace(variant, metrics=False)
            self.samples[plain, "elsewhere"].append(found / (before + self._base()) * 2)

    def _base(self) -> float:
        found = self._bench.one_round(BASE, self._tasks)
        for part in MEASURED:
            self.samples[BASE, part].append(getattr(found, part) / found.path)
        self.unit.append(found.path)
        return found.path


def measured(chosen: list[Variant], rounds: int, tasks: int, passes: int) -> Measuring:
    """All rounds; so many passes among them of what is recorded off the path."""
    metered = [variant for variant in chosen if variant.metrics]
    with Bench([BASE, *chosen]) as bench:
        for variant in chosen:  # warms up
            bench.one_round(variant, tasks)
        measuring = Measuring(bench, tasks)
        for number in range(rounds):
            measuring.path(chosen)
            if number * passes // rounds != (number + 1) * passes // rounds:
                measuring.metrics(metered)
            if sys.stderr.isatty():
                print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
    return measuring


def cost(samples: Samples, variant: Variant, start: int = 0, step: int = 1) -> dict[str, float]:
    """Each part above no instrumentation, in units of its path, from all or some of the rounds."""

    def found(part: str) -> float:
        return middle(samples[variant, part][start::step])

    parts = {part: found(part) - middle(samples[BASE, part]) for part in MEASURED}
    if (variant, "elsewhere") in samples:
        parts["metrics"] = found("on path") + middle(samples[variant, "elsewhere"])
        parts["bill"] = parts["path"] + parts["encoding"] + parts["metrics"]
    return parts


def tables(chosen: list[Variant], measuring: Measuring) -> tuple[Table, Table]:
    """Microseconds, which differ between machines and moments; and what each part is of contrib's whole bill."""
    contrib = cost(measuring.samples, Variant("contrib"))["bill"]
    made = []
    for head, unit, digits in (("us per task", min(measuring.unit), 1), ("of contrib's bill", 1 / contrib, 2)):
        rows = [[head, *PARTS]]
        for variant in (one for one in chosen if not one.metrics):
            found = cost(measuring.samples, variant)
            cells = {part: f"{round(unit * value, digits) + 0.0:.{digits}f}" for part, value in found.items()}
            rows.append([str(variant), *(cells.get(part, "") for part in PARTS)])
        made.append(rows)
    return made[0], made[1]


def ratio(samples: Samples, variant: Variant, part: str, goal: float | None) -> Result:
    """One part of a variant's cost, to contrib's under the same condition."""
    contrib = Variant("contrib", variant.sampled, watched=variant.watched)

    def of(start: int, step: int) -> float:
        return cost(samples, variant, start, step)[part] / cost(samples, contrib, start, step)[part]

    return Result(f"{variant}: {part} / contrib", of(0, 1), abs(of(0, 2) - of(1, 2)) / 2, goal)


GOALS = [
    (Variant("child"), "path", 0.82),
    (Variant("link"), "path", 0.97),
    (Variant("child", sampled=False), "path", 0.58),
    (Variant("child"), "bill", 1.0),
    (Variant("link"), "bill", 1.18),
    (Variant("floor"), "path", None),
    (Variant("link", sampled=False), "path", None),
    (Variant("child", watched=True), "path", None),
    (Variant("link", watched=True), "path", None),
    (Variant("child"), "encoding", None),
    (Variant("link"), "encoding", None),
    (Variant("child", sampled=False), "bill", None),
    (Variant(NAMES), "bill", None),
]


def profiled(variant: Variant, rounds: int, tasks: int, by: str) -> None:
    """Prints where the time of one variant goes; the profiler makes Python calls dearer than they are."""
    profile = cProfile.Profile()
    with Bench([variant]) as bench:
        for number in range(rounds + 1):
            bench.one_round(variant, tasks, profile if number else None)
    pstats.Stats(profile).sort_stats(by).print_stats(50)


def main() -> int:
    names = {str(variant): variant for variant in variants()}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only what has a goal, in half a minute")
    parser.add_argument("--rounds", type=int, help="of each variant: 120, or 40 with --quick")
    parser.add_argument("--tasks", type=int, default=50, help="per round")
    parser.add_argument("--json", type=Path, help="a file for the results")
    parser.add_argument("--profile", metavar="VARIANT", choices=names, help=f"instead: {', '.join(names)}")
    parser.add_argument("--sort", default="tottime", help="the order of the profile")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    rounds = options.rounds or (40 if options.quick else 120)
    if options.profile:
        profiled(names[options.profile], rounds, options.tasks, options.sort)
        return 0
    chosen = variants(quick=options.quick)
    measuring = measured(chosen, rounds, options.tasks, passes=2 if options.quick else 4)
    microseconds, shares = tables(chosen, measuring)
    show(microseconds)
    show(shares)
    goals = [(variant, part, goal) for variant, part, goal in GOALS if variant in chosen]
    if options.quick:
        goals = [row for row in goals if row[2] is not None]
    results = [ratio(measuring.samples, *row) for row in goals]
    show_results(results)
    write(options.json, results, shares)
    return 0


if __name__ == "__main__":
    sys.exit(main())
