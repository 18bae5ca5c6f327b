"""The whole bill of a task beside contrib's (opentelemetry-instrumentation-celery), in processor time.

The bill is the path of the task (publish, receive, run), the OTLP encoding of its spans, and its metrics in whatever
thread. All variants run in this one process, connected and disconnected in alternating rounds, with the garbage
collector off; the fastest third of rounds counts, above that of no instrumentation, which runs three times as often.

Publishing is `apply_async` to `memory://` inside a request's span, receiving is the `task_received` signal, running is
Celery's own tracer on the messages that were published: the time of the main thread, without a meter provider.
Encoding is `encode_spans` and `SerializeToString` of batches of at most 512, a publisher's and a worker's apart. Metrics
are what the path takes more with a meter provider, what other threads take until they are done, and what a collection
takes more than the next one. Unsampled is below a parent that is not sampled, which the sampler keeps so.
"""

import argparse
import cProfile
import logging
import pstats
import random
import sys
from collections.abc import Mapping
from pathlib import Path

from results import Result, fastest_third, show, write
from rounds import Bench, Round
from variants import BASE, Variant, variants

SETTLE_EVERY = 6
"""Rounds after one that waits for other threads, which takes a second and is little disturbed by other processes."""
PARTS = ("publish", "receive", "run", "path", "encoding", "metrics", "bill")
Rounds = Mapping[Variant, list[Round]]
Cost = Mapping[str, float]


def measured(chosen: list[Variant], rounds: int, tasks: int) -> Rounds:
    """All rounds of all variants."""
    found: dict[Variant, list[Round]] = {variant: [] for variant in chosen}
    with Bench(chosen) as bench:
        for variant in chosen:  # the first round warms up
            bench.one_round(variant, 50, settle=False)
        for number in range(rounds):
            for variant in random.sample([*chosen, BASE, BASE], len(chosen) + 2):
                found[variant].append(bench.one_round(variant, tasks, settle=number % SETTLE_EVERY == 0))
            if sys.stderr.isatty():
                print(f"\rround {number + 1} of {rounds}", end="\r", file=sys.stderr, flush=True)
    return found


def cost(rounds: Rounds, variant: Variant, start: int = 0, step: int = 1) -> Cost:
    """Microseconds per task above no instrumentation, from some of the rounds."""

    def above(one: Variant, part: str) -> float:
        return fastest_third(getattr(found, part) for found in rounds[one][start::step]) - base(part)

    def base(part: str) -> float:
        return 0.0 if variant == BASE else fastest_third(getattr(found, part) for found in rounds[BASE][start::step])

    parts = {part: above(variant, part) for part in ("publish", "receive", "run", "path", "encoding")}
    metered = Variant(variant.instrumentation, variant.sampled, metrics=True)
    parts["metrics"] = 0.0
    if metered in rounds:
        elsewhere = [found.elsewhere for found in rounds[metered] if found.elsewhere is not None]
        parts["metrics"] = above(metered, "path") - parts["path"] + fastest_third(elsewhere)
    parts["bill"] = parts["path"] + parts["encoding"] + parts["metrics"]
    return parts


def table(rounds: Rounds) -> None:
    """Prints microseconds, which differ between machines and moments, and each variant's parts of contrib's bill."""
    print(f"{'us per task':26}" + "".join(f"{part:>10}" for part in PARTS))
    for variant in (one for one in rounds if not one.metrics):
        found = cost(rounds, variant)
        print(f"{variant!s:26}" + "".join(f"{found[part]:10.1f}" for part in PARTS))
    print()


def ratio(rounds: Rounds, variant: Variant, part: str, *, goal: float | None = None) -> Result:
    """One part of a variant's cost, to contrib's under the same condition."""
    contrib = Variant("contrib", variant.sampled)

    def of(start: int, step: int) -> float:
        return cost(rounds, variant, start, step)[part] / cost(rounds, contrib, start, step)[part]

    noise = abs(of(0, 2) - of(1, 2)) / 2
    return Result(f"{variant}: {part} / contrib", of(0, 1), noise, goal)


GOALS = [
    (Variant("child"), "path", 0.82),
    (Variant("link"), "path", 0.97),
    (Variant("child", sampled=False), "path", 0.58),
    (Variant("child"), "bill", 1.0),
    (Variant("link"), "bill", 1.18),
    (Variant("floor"), "path", None),
    (Variant("link", sampled=False), "path", None),
    (Variant("child"), "encoding", None),
    (Variant("link"), "encoding", None),
    (Variant("child, contrib's names"), "bill", None),
    (Variant("child", sampled=False), "bill", None),
]


def profiled(variant: Variant, rounds: int, tasks: int, by: str) -> None:
    """Prints where the time of one variant goes; the profiler makes Python calls dearer than they are."""
    profile = cProfile.Profile()
    with Bench([variant]) as bench:
        bench.one_round(variant, 100, settle=False)
        for _ in range(rounds):
            bench.one_round(variant, tasks, settle=False, profile=profile)
    pstats.Stats(profile).sort_stats(by).print_stats(50)


def main() -> int:
    names = {str(variant): variant for variant in variants()}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="12 take half a minute")
    parser.add_argument("--tasks", type=int, default=200, help="per round")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--profile", metavar="VARIANT", choices=names, help=f"instead: {', '.join(names)}")
    parser.add_argument("--sort", default="tottime", help="order of the profile")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    if options.profile:
        profiled(names[options.profile], options.rounds, options.tasks, options.sort)
        return 0
    rounds = measured(list(names.values()), options.rounds, options.tasks)
    table(rounds)
    results = [ratio(rounds, variant, part, goal=goal) for variant, part, goal in GOALS if variant in rounds]
    show(results)
    write(options.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
