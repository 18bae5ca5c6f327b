"""What instrumentation costs per task, in microseconds and, what is stable between machines, as ratios.

All variants run in this one process, connected and disconnected in alternating rounds with the garbage collector off.
A variant's cost is the mean of its fastest third of rounds minus the same of no instrumentation, in processor time of
the whole process, threads included, so that other processes disturb it less. Publishing is `apply_async` to `memory://`
inside a request's span, receiving is the `task_received` signal, running is Celery's own tracer on the messages that
were published. `--check` exits with 1 if a limit is exceeded.
"""

import argparse
import cProfile
import gc
import logging
import pstats
import random
import sys
from statistics import fmean
from time import process_time

from celery import Celery, signals
from celery.app.trace import build_tracer
from celery.concurrency.prefork import TaskPool
from celery.worker.request import Request
from opentelemetry import context, trace
from variants import Variant, variants

app = Celery("overhead", broker="memory://", set_as_current=True)
app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True)


class Consumer:
    """What sends `task_received` in a prefork worker."""

    hostname = "worker@bench"
    pool = TaskPool(1, app=app)


consumer = Consumer()
consumer.app = app


@app.task(name="shop.noop")
def noop(x, y):
    return x


def received_messages(channel, count: int) -> list[tuple[Request, tuple]]:
    """The published messages, as the worker makes requests of them."""
    made = []
    for _ in range(count):
        message = channel.basic_get("celery", no_ack=True)
        made.append((Request(message, app=app, hostname="worker@bench", task=noop), message.payload))
    return made


def one_round(variant: Variant, tasks: int, channel, profile: cProfile.Profile | None = None) -> None:
    disconnect = variant.connect(variant.tracers, variant.meters)
    tracer = variant.tracers.get_tracer("request")
    # A request of its own for each publish: hundreds from one span would be a loop, which is another mode.
    parents = [trace.set_span_in_context(tracer.start_span("request")) for _ in range(tasks)]
    gc.collect()
    gc.disable()
    if profile:
        profile.enable()
    try:
        start = process_time()
        for parent in parents:
            token = context.attach(parent)
            noop.apply_async((1, 2))
            context.detach(token)
        variant.publish.append((process_time() - start) / tasks)
        if profile:
            profile.disable()

        messages = received_messages(channel, tasks)
        if profile:
            profile.enable()
        start = process_time()
        for request, _ in messages:
            signals.task_received.send(sender=consumer, request=request)
        variant.receive.append((process_time() - start) / tasks)
        if profile:
            profile.disable()

        runs = []
        for request, (args, kwargs, embed) in messages:
            ready = {**request.request_dict, **embed, "args": args, "kwargs": kwargs, "is_eager": False}
            runs.append((request.id, args, kwargs, ready))
        run = build_tracer(noop.name, noop, app=app, hostname="worker@bench")
        if profile:
            profile.enable()
        start = process_time()
        for uuid, args, kwargs, ready in runs:
            run(uuid, args, kwargs, ready)
        variant.run.append((process_time() - start) / tasks)
    finally:
        if profile:
            profile.disable()
        gc.enable()
        disconnect()
    if variant.metrics:
        variant.later.append((collecting(variant) - collecting(variant)) / tasks)


def collecting(variant: Variant) -> float:
    """The time that a collection takes; the first one records what the tasks have measured."""
    start = process_time()
    variant.reader.get_metrics_data()
    return process_time() - start


def fastest_third(seconds: list[float]) -> float:
    return 1e6 * fmean(sorted(seconds)[: max(1, len(seconds) // 3)])


def measure(chosen: list[Variant], rounds: int, tasks: int, channel) -> dict[str, float]:
    """Runs all rounds, prints the table, returns publish + run above none, in microseconds, by variant."""
    base = chosen[0]
    for number in range(rounds + 1):
        # The base, which every figure rests on, runs three times as often.
        for variant in random.sample([*chosen, base, base], len(chosen) + 2):
            one_round(variant, tasks if number else 50, channel)
            if not number:  # the first round warms up
                variant.publish.clear(), variant.receive.clear(), variant.run.clear()
                variant.later.clear()
        if sys.stderr.isatty():
            print(f"\rround {number} of {rounds}", end="", file=sys.stderr, flush=True)
    costs = {}
    print(f"\r{'us per task':22}{'publish':>9}{'receive':>9}{'run':>9}{'publish + run':>15}")
    for variant in chosen:
        publish, receive, run = (
            fastest_third(getattr(variant, phase)) - (fastest_third(getattr(base, phase)) if variant is not base else 0)
            for phase in ("publish", "receive", "run")
        )
        costs[variant.name] = publish + run
        print(f"{variant.name:22}{publish:9.1f}{receive:9.1f}{run:9.1f}{publish + run:15.1f}")
    for variant in chosen:
        if variant.later:
            later = 1e6 * sorted(variant.later)[len(variant.later) // 2]
            print(f"{variant.name}: {later:.1f} us per task more, recorded off its path (median of the rounds)")
    print(f"(none is absolute, the others are above none; fastest third of {rounds} rounds of {tasks} tasks)\n")
    return costs


# What is compared, with what, how, and the most it may be.
# Ratio, of what, to what; the goal, and the ceiling that --check holds.
LIMITS = [
    ("child / contrib", "child", "contrib", 0.75, 1.5),
    ("child / floor", "child", "floor", 1.6, 3.2),
    ("link / contrib", "link", "contrib", 0.85, 2.0),
    ("child / contrib, unsampled", "child unsampled", "contrib unsampled", 0.6, 1.7),
]
METRICS_US = (15, 45)


def report(costs: dict[str, float], tolerance: float) -> bool:
    """Prints each ratio beside its goal; true if none is beyond its ceiling times the tolerance."""
    found = [(name, costs[a] / costs[b], goal, top) for name, a, b, goal, top in LIMITS if a in costs and b in costs]
    if "child metrics" in costs and "child" in costs:
        found.append(("metrics, us", costs["child metrics"] - costs["child"], *METRICS_US))
    good = True
    for name, value, goal, top in found:
        verdict = "met" if value <= goal else "missed" if value <= top * tolerance else "TOO MUCH"
        good = good and verdict != "TOO MUCH"
        print(f"{name:28}{value:7.2f}  goal {goal:<5} {verdict}")
    if "link" in costs and "floor" in costs:
        print(f"{'link / floor':28}{costs['link'] / costs['floor']:7.2f}")
    if "link" in costs and "link unreserved" in costs:
        print(f"{'reserving a context, us':28}{costs['link'] - costs['link unreserved']:7.2f}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--tasks", type=int, default=200, help="per round")
    parser.add_argument("--only", help="variants, separated by commas")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a ceiling is exceeded")
    parser.add_argument("--tolerance", type=float, default=1.0, help="factor on the ceilings")
    parser.add_argument("--profile", metavar="VARIANT", help="profile one variant instead")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    chosen = variants()
    names = [variant.name for variant in chosen]
    wanted = [options.profile] if options.profile else (options.only or ",".join(names)).split(",")
    if unknown := set(wanted) - set(names):
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    chosen = [variant for variant in chosen if variant.name in ("none", *wanted)]
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        gc.freeze()
        noop.apply_async((1, 2))  # declares the queue
        received_messages(channel, 1)
        if options.profile:
            profile = cProfile.Profile()
            one_round(chosen[-1], 100, channel)
            for _ in range(options.rounds):
                one_round(chosen[-1], options.tasks, channel, profile)
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
            return 0
        costs = measure(chosen, options.rounds, options.tasks, channel)
    good = report(costs, options.tolerance)
    return 1 if options.check and not good else 0


if __name__ == "__main__":
    sys.exit(main())
