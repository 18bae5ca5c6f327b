"""`celery -A shop otel-links doctor`: what is wrong with this set-up, tried on the real broker and the live workers."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click
from celery import Celery

from celery_otel_links import CeleryLinksInstrumentor
from celery_otel_links._worker.description import PROBE, describe
from celery_otel_links.cli import show
from celery_otel_links.cli.broker import unreachable
from celery_otel_links.cli.findings import CHECKS, Facts, findings
from celery_otel_links.cli.tasks import chosen, loaded, queue_of


@click.command()
@click.option("--timeout", default=2.0, show_default=True, help="Seconds that workers have to answer.")
@click.option("--probe/--no-probe", default=True, help="Whether a task of ours is run to see the processes of pools.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def doctor(context: click.Context, /, timeout: float, probe: bool, as_json: bool) -> None:
    """Say what is wrong with the tracing of this application, how that was found, and how to mend it.

    Asks the broker and all workers, exports one span named "otel-links doctor" from this process and from each worker,
    and has each worker run the task celery_otel_links.probe. Ends with 1 if something is wrong.
    """
    app: Celery = context.obj.app
    unknown: list[str] = []
    logging.getLogger("opentelemetry").propagate = False  # what an exporter complains of stands among the findings
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    facts = look(app, timeout, probe, unknown)
    wrong = findings(facts)
    if as_json:
        found = [one._asdict() for one in wrong]
        show.as_json({"wrong": found, "tried": [name for name, _ in CHECKS], "unknown": unknown, **_seen(facts)})
    else:
        for one in wrong:
            click.echo(f"wrong     {one.what}\n  found   {one.how}\n  mend    {one.mend}\n")
        for text in unknown:
            click.echo(f"unknown   {text}")
        tried = ", ".join(name for name, _ in CHECKS)
        click.echo(f"tried     {tried}; {len(facts.workers)} workers, {len(facts.probes)} probes")
        click.echo(f"{len(wrong)} findings" if wrong else "Nothing is wrong.")
    sys.exit(1 if wrong else 0)


def look(app: Celery, timeout: float, probe: bool, unknown: list[str]) -> Facts:
    """Find out what there is to know; what can't be found out is added to ``unknown``, in sentences."""
    tasks = tuple(chosen(loaded(app), None))
    facts = Facts(here={}, tasks=tasks, queues={queue_of(app, name): name for name in reversed(tasks)})
    with ThreadPoolExecutor(1) as beside:  # an exporter may take as long as a worker that does not answer
        here = beside.submit(_here, app)
        broker = unreachable(app)
        if broker is None:
            facts = _with_workers(facts, app, timeout, unknown)
        else:
            unknown.append("everything about workers: the broker can't be reached")
        facts = facts._replace(here=here.result(), broker=broker)
    if probe and facts.workers:
        queues = {name: told["queues"] for name, told in facts.workers.items()}
        facts = facts._replace(probes=_probed(app, queues, timeout, unknown))
    return facts


def _here(app: Celery) -> dict[str, Any]:
    telemetry = CeleryLinksInstrumentor().telemetry
    return {"active": False} if telemetry is None else {"active": True, **describe(app, telemetry, trying=True)}


def _with_workers(facts: Facts, app: Celery, timeout: float, unknown: list[str]) -> Facts:
    asked = time.time()
    replies = _merged(app.control.broadcast("otel_links", reply=True, timeout=timeout))
    answered = time.time()
    workers = {name: told for name, told in replies.items() if told.get("active")}
    silent = tuple(sorted(replies.keys() - workers.keys()))  # they answer that they do not know the command
    consumed = {queue for told in workers.values() for queue in told["queues"]}
    if silent:
        unknown.extend(f"everything about {name}: the library is not active there" for name in silent)
        alive = _merged(app.control.broadcast("active_queues", reply=True, timeout=timeout))
        consumed |= {queue["name"] for queues in alive.values() for queue in queues or ()}
    return facts._replace(
        workers=workers,
        silent=silent,
        ahead={name: max(0, told["time"] - answered) or min(0, told["time"] - asked) for name, told in workers.items()},
        consumed=frozenset(consumed),
    )


def _merged(replies: Iterable[Mapping[str, Any]] | None) -> dict[str, Any]:
    return {name: told for reply in replies or () for name, told in reply.items()}


def _probed(
    app: Celery, queues: Mapping[str, list[str]], timeout: float, unknown: list[str]
) -> dict[str, dict[str, Any]]:
    """What the probes say that ran, by worker; one is sent to a queue of each of them."""
    try:
        sent = {
            name: app.send_task(PROBE, (time.time(),), queue=own[0], expires=4 * timeout + 5)
            for name, own in queues.items()
            if own
        }
        probes = {}
        deadline = time.monotonic() + 4 * timeout + 5  # an exporter that hangs takes its time
        for name, result in sent.items():
            try:
                probes[name] = result.get(timeout=max(0.1, deadline - time.monotonic()))
            except Exception as error:
                unknown.append(f"the processes of {name} that run tasks: {type(error).__name__} {error}".rstrip())
        return probes
    except Exception as error:
        unknown.append(f"the processes that run tasks: {type(error).__name__}: {error}")
        return {}


def _seen(facts: Facts) -> dict[str, Any]:
    return {"here": facts.here, "workers": facts.workers, "probes": facts.probes}
