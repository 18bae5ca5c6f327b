"""What is wrong with a set-up, by what was found out about it: `CHECKS` is the table. Pure.

Each finding says what is wrong, how that was found, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from celery_otel_links._config.destinations import NO_PROCESSOR, NOWHERE, PROMETHEUS, RATIO

CLOCKS_APART = 1.0
"""Seconds."""
SLOW_STORE = 0.1
PREFORK = "prefork"
Told = Mapping[str, Any]
"""What a process says of itself (`_worker/description.py`)."""


class Facts(NamedTuple):
    """What was found out."""

    here: Told
    """This process, which stands for the producers."""
    broker: str | None = None
    """Why the broker can't be reached."""
    workers: Mapping[str, Told] = {}
    """The main processes of the workers that answered, by their names."""
    silent: tuple[str, ...] = ()
    """Workers that live and do not know the question: the library is not active there."""
    ahead: Mapping[str, float] = {}
    """Seconds that the clock of a worker is ahead of ours."""
    probes: Mapping[str, Told] = {}
    """The processes that ran our probe, by worker."""
    tasks: tuple[str, ...] = ()
    """The tasks that are registered here."""
    queues: Mapping[str, str] = {}
    """The queues to which they are published, each with one of those tasks."""
    consumed: frozenset[str] = frozenset()
    """The queues that workers consume."""


class Finding(NamedTuple):
    """Something that is wrong."""

    check: str
    what: str
    how: str
    mend: str


Found = Iterator[tuple[str, str, str]]
"""What is wrong, how it was found, how to mend it."""


def _processes(facts: Facts) -> Iterator[tuple[str, Told]]:
    """This process, and the processes that run tasks: those of a pool where one of them has answered."""
    yield "this process", facts.here
    for name, told in facts.workers.items():
        yield name, told
    for name, told in facts.probes.items():
        yield f"a process of {name} that runs tasks", told


def _broker(facts: Facts) -> Found:
    if facts.broker is not None:
        yield "the broker can't be reached", facts.broker, "start it, or correct broker_url"


def _workers(facts: Facts) -> Found:
    if facts.broker is None and not (facts.workers or facts.silent):
        yield "no worker answers", "asked all of them by broadcast", "start one: celery -A … worker"


def _inactive(facts: Facts) -> Found:
    for name in facts.silent:
        mend = "call celery_otel_links.setup(app) where the app is made, and install the same release there"
        yield f"the library is not active in {name}", "it answers a ping, but not `inspect otel_links`", mend


def _nowhere(facts: Facts) -> Found:
    provided = {name for name, told in facts.probes.items() if told.get("spans")}
    for name, told in _processes(facts):
        if told.get("auto") and not told.get("spans") and not told.get("distro"):
            continue  # said more precisely below
        if told.get("active") and not told.get("spans"):
            if name in provided:
                what = f"{name} has a tracer provider only in the processes that run tasks"
                mend = "make one in the main process too: it reports tasks that were killed, expired or are unknown"
                yield what, "its main process has none, its probe ran where there is one", mend
            else:
                yield f"{name}: no span goes anywhere", "there is no tracer provider", NOWHERE.partition("; ")[2]
        elif told.get("active") and not told.get("processors", True):
            mend = NO_PROCESSOR.partition("; ")[2]
            yield f"{name}: no span goes anywhere", "its tracer provider has no span processor", mend


def _auto(facts: Facts) -> Found:
    for name, told in _processes(facts):
        if told.get("auto") and not told.get("spans") and not told.get("distro"):
            mend = "pip install opentelemetry-distro opentelemetry-exporter-otlp"
            what = f"{name}: opentelemetry-instrument has made no tracer provider"
            yield what, "no package offers the entry point opentelemetry_distro", mend


def _export(facts: Facts) -> Found:
    for name, told in _processes(facts):
        for exporter, problem in (told.get("export") or {}).items():
            if problem is not None:
                mend = "start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL"
                yield f"{name}: {exporter} can't export: {problem}", f"one span was exported to {told['spans']}", mend


def _grpc(facts: Facts) -> Found:
    for name, told in facts.workers.items():
        if told.get("grpc") and told.get("pool") == PREFORK:
            mend = "use OTLP over HTTP, or make the provider in worker_process_init"
            how = "its main process, which forks, has a provider with a gRPC exporter"
            yield f"{name}: a gRPC exporter was made before a fork", how, mend


def _contrib(facts: Facts) -> Found:
    for name, told in _processes(facts):
        if told.get("contrib"):
            mend = "remove it, or instrument with celery-otel-links first; both make spans of every task"
            yield f"{name}: opentelemetry-instrumentation-celery is active too", "its instrumentor says so", mend


def _taken_over(facts: Facts) -> Found:
    for name, told in _processes(facts):
        if told.get("links_taken_over"):
            mend = 'say it yourself: otel_links = {"default": "link"}, and remove use_span_links'
            yield f"{name}: `default` is taken over from contrib's use_span_links", "its configuration says so", mend


def _unstamped(facts: Facts) -> Found:
    for name, told in facts.workers.items():
        if told.get("unstamped"):
            how = f"{told['unstamped']} of the {told.get('received')} messages that it received had no header of ours"
            mend = "call celery_otel_links.setup(app) in every process that publishes, beat and web processes included"
            yield f"a producer of {name} is not instrumented", how, mend


def _releases(facts: Facts) -> Found:
    for name, told in facts.workers.items():
        if told.get("active") and facts.here.get("active") and told["version"] != facts.here["version"]:
            how = f"{told['version']} there, {facts.here['version']} here"
            yield f"{name} has another release of celery-otel-links", how, "install the same release everywhere"


def _configurations(facts: Facts) -> Found:
    ours = facts.here.get("configuration") or {}
    for name, told in facts.workers.items():
        theirs = told.get("configuration") or {}
        odd = [key for key in theirs if key in ours and theirs[key] != ours[key]]
        if odd:
            mend = "give producers and workers one configuration; look at CELERY_OTEL_LINKS_ in their environments"
            how = "; ".join(f"{key}: {theirs[key]!r} there, {ours[key]!r} here" for key in odd)
            yield f"{name} is configured otherwise than this process", how, mend


def _ratio(facts: Facts) -> Found:
    for name, told in _processes(facts):
        if told.get("by_chance"):
            what = f"{name}: a sampler decides on linked tasks by chance"
            yield what, f"it is {told['sampler']}", RATIO.partition("; ")[2]


def _prometheus(facts: Facts) -> Found:
    for name, told in facts.workers.items():
        if told.get("pool") == PREFORK and (told.get("scraped") or facts.probes.get(name, {}).get("scraped")):
            how = "its meter provider has a Prometheus reader"
            yield f"{name}: the Prometheus exporter meets prefork", how, PROMETHEUS.partition("; ")[2]


def _clocks(facts: Facts) -> Found:
    for name, ahead in facts.ahead.items():
        if abs(ahead) > CLOCKS_APART:
            how = f"it is {abs(ahead):.1f} s {'ahead' if ahead > 0 else 'behind'}; latencies are wrong by as much"
            yield f"the clock of {name} is not that of this machine", how, "synchronise both by NTP"


def _fan_in(facts: Facts) -> Found:
    for name, told in facts.probes.items():
        if told.get("active") and not told.get("fan_in"):
            mend = "set fan_in: True, or use Redis, memcached or a filesystem for results; without it nothing breaks"
            yield f"{name}: the body of a chord gets no links to its header tasks", "fan-in is off there", mend
        elif (told.get("fan_in_seconds") or 0) > SLOW_STORE:
            how = f"one look into the result backend took {told['fan_in_seconds']:.2f} s, where 0.1 s is the bound"
            yield f"{name}: fan-in is too slow", how, "use a result backend that is nearer, or set fan_in: False"


def _unregistered(facts: Facts) -> Found:
    known = {task for told in facts.workers.values() for task in told.get("tasks") or ()}
    missing = [task for task in facts.tasks if task not in known]
    if any(told.get("active") for told in facts.workers.values()) and missing:
        mend = "have a worker import their modules: `include`, or autodiscover_tasks"
        yield f"no worker knows {', '.join(missing)}", "compared the tasks of all workers that answered", mend


def _unconsumed(facts: Facts) -> Found:
    if facts.workers or facts.silent:
        for queue, task in facts.queues.items():
            if queue not in facts.consumed:
                how = f"{task} is published to it; asked all workers for their queues"
                yield f"nobody consumes the queue {queue}", how, f"start a worker with --queues {queue}"


CHECKS: tuple[tuple[str, Callable[[Facts], Found]], ...] = (
    ("broker", _broker),
    ("workers", _workers),
    ("active in workers", _inactive),
    ("tracer provider", _nowhere),
    ("opentelemetry-instrument", _auto),
    ("exporter", _export),
    ("gRPC and fork", _grpc),
    ("contrib", _contrib),
    ("options of contrib", _taken_over),
    ("instrumented producers", _unstamped),
    ("releases", _releases),
    ("configurations", _configurations),
    ("sampler", _ratio),
    ("Prometheus and prefork", _prometheus),
    ("clocks", _clocks),
    ("fan-in", _fan_in),
    ("registered tasks", _unregistered),
    ("consumed queues", _unconsumed),
)
"""Each thing that is looked at, in the order in which one mends them."""


def findings(facts: Facts) -> list[Finding]:
    """Everything that is wrong."""
    return [Finding(name, *found) for name, check in CHECKS for found in check(facts)]
