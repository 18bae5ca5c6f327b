"""What is wrong with a set-up, by what was found out about it: `CHECKS` is the table. Pure.

Each finding says what is wrong, how that was found, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from celery_otel_links._config.destinations import DISABLED, NO_PROCESSOR, NOWHERE, PROMETHEUS, RATIO
from celery_otel_links.cli.facts import Facts, Told, processes

CLOCKS_APART = 1.0
"""Seconds."""
SLOW_STORE = 0.1
PREFORK = "prefork"
_SILENT = "a solo pool answers between tasks only, and nobody with worker_enable_remote_control = False"


class Finding(NamedTuple):
    """Something that is wrong."""

    check: str
    what: str
    how: str
    mend: str


Found = Iterator[tuple[str, str, str]]
"""What is wrong, how it was found, how to mend it."""


def _broker(facts: Facts) -> Found:
    if facts.broker is not None:
        yield "the broker can't be reached", facts.broker, "start it, or correct broker_url"


def _workers(facts: Facts) -> Found:
    if facts.broker is None and not (facts.workers or facts.inactive):
        how = f"asked all of them by broadcast; {_SILENT}"
        yield "no worker answers", how, "start one: celery -A … worker"


def _namesakes(facts: Facts) -> Found:
    for name in facts.namesakes:
        how = "several have answered to that name; what is said of it here is of one of them"
        yield f"more than one worker is called {name}", how, "give each a name of its own: --hostname"


def _inactive(facts: Facts) -> Found:
    for name, told in processes(facts):
        if _lacks(told):
            continue  # that is why, and is said below
        if told.get("active") is False:
            mend = "call celery_otel_links.setup(app) where the app is made; look whether `enabled` is false there"
            yield f"the library is not active in {name}", "it says so", mend
        elif name in facts.inactive:
            mend = "install the same release there, and call celery_otel_links.setup(app) where the app is made"
            yield f"the library is not active in {name}", "it answers a ping, but not `inspect otel_links`", mend


def _nowhere(facts: Facts) -> Found:
    provided = {name for name, told in facts.probes.items() if told.get("spans")}
    for name, told in processes(facts):
        if not told.get("active") or _lacks(told):
            continue
        if told.get("spans") == DISABLED:
            yield f"{name}: no span goes anywhere", "its tracer provider is disabled", "remove OTEL_SDK_DISABLED"
        elif told.get("spans") and not told.get("processors", True):
            mend = NO_PROCESSOR.partition("; ")[2]
            yield f"{name}: no span goes anywhere", "its tracer provider has no span processor", mend
        elif told.get("spans"):
            continue
        elif name in provided:
            what = f"{name} has a tracer provider only in the processes that run tasks"
            mend = "make one in the main process too: it reports tasks that were killed, expired or are unknown"
            yield what, "its main process has none, its probe ran where there is one", mend
        elif told.get("pool") == PREFORK and name not in facts.probes:
            what = f"{name} has no tracer provider in its main process"
            yield what, "it says so; the processes that run tasks have not answered", NOWHERE.partition("; ")[2]
        else:
            yield f"{name}: no span goes anywhere", "there is no tracer provider", NOWHERE.partition("; ")[2]


def _auto(facts: Facts) -> Found:
    for name, told in processes(facts):
        for how, mend in _lacks(told):
            yield f"{name}: opentelemetry-instrument has made no tracer provider", how, mend


def _lacks(told: Told) -> list[tuple[str, str]]:
    """What `opentelemetry-instrument` has not found, and how to mend that."""
    if not told.get("auto") or told.get("spans"):
        return []
    if not told.get("distro"):
        mend = "pip install opentelemetry-distro opentelemetry-exporter-otlp"
        return [("no package offers the entry point opentelemetry_distro", mend)]
    return [_lacks_exporter(**one) for one in told.get("missing") or ()]


def _lacks_exporter(variable: str, exporter: str, package: str | None, allowed: list[str]) -> tuple[str, str]:
    how = f"{variable} asks for the exporter {exporter}, which no package offers"
    choose = f"{variable} may be {', '.join(allowed)}"
    return how, f"pip install {package}; or choose another: {choose}" if package else choose


def _export(facts: Facts) -> Found:
    for name, told in processes(facts):
        for exporter, problem in (told.get("export") or {}).items():
            if problem is not None:
                mend = "start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL"
                yield f"{name}: {exporter} can't export: {problem}", "one span was given to it to export", mend


def _grpc(facts: Facts) -> Found:
    for name, told in facts.workers.items():
        if told.get("grpc") and told.get("pool") == PREFORK:
            mend = "use OTLP over HTTP, or make the provider in worker_process_init"
            how = "its main process, which forks, has a provider with a gRPC exporter"
            yield f"{name}: a gRPC exporter was made before a fork", how, mend


def _contrib(facts: Facts) -> Found:
    for name, told in processes(facts):
        if told.get("contrib"):
            mend = "remove it, or instrument with celery-otel-links first; both make spans of every task"
            yield f"{name}: opentelemetry-instrumentation-celery is active too", "its instrumentor says so", mend


def _taken_over(facts: Facts) -> Found:
    for name, told in processes(facts):
        if told.get("links_taken_over"):
            mend = 'say it yourself: otel_links = {"default": "link"}, and remove use_span_links'
            yield f"{name}: `default` is taken over from contrib's use_span_links", "its configuration says so", mend


def _unstamped(facts: Facts) -> Found:
    for name, told in facts.workers.items():
        if told.get("unstamped"):
            how = f"{told['unstamped']} of the {told.get('received')} messages since its start had no header of ours"
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
    for name, told in processes(facts):
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
        if told.get("fan_in") is False:
            mend = "set fan_in: True, or use Redis, memcached or a filesystem for results; without it nothing breaks"
            yield f"{name}: the body of a chord gets no links to its header tasks", "fan-in is off there", mend
        elif (told.get("fan_in_seconds") or 0) > SLOW_STORE:
            how = f"one look into the result backend took {told['fan_in_seconds']:.2f} s, where 0.1 s is the bound"
            yield f"{name}: fan-in is too slow", how, "use a result backend that is nearer, or set fan_in: False"


def _unregistered(facts: Facts) -> Found:
    missing = [task for task in facts.tasks if task not in facts.registered]
    if facts.workers and missing:
        mend = "have a worker import their modules: `include`, or autodiscover_tasks"
        yield f"no worker knows {', '.join(missing)}", "compared the tasks of all workers that answered", mend


def _unconsumed(facts: Facts) -> Found:
    if facts.workers or facts.inactive:
        for queue, task in facts.queues.items():
            if queue not in facts.consumed:
                how = f"{task} is published to it; asked all workers for their queues; {_SILENT}"
                what = f"no worker that has answered consumes the queue {queue}"
                yield what, how, f"start a worker with --queues {queue}"


CHECKS: tuple[tuple[str, Callable[[Facts], Found]], ...] = (
    ("broker", _broker),
    ("workers", _workers),
    ("names of workers", _namesakes),
    ("active", _inactive),
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
