"""`celery -A shop otel-links doctor`: what is wrong with this set-up, tried on the real broker and the live workers."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TextIO

import click
from celery import Celery

from celery_otel_links import CeleryLinksInstrumentor
from celery_otel_links._errors import in_words
from celery_otel_links._worker.description import describe
from celery_otel_links._worker.questions import Question, ask, why
from celery_otel_links._worker.trial import EXPORT_TIMEOUT
from celery_otel_links.cli import show
from celery_otel_links.cli.broker import unreachable
from celery_otel_links.cli.facts import Facts, Told, processes
from celery_otel_links.cli.findings import CHECKS, findings
from celery_otel_links.cli.probing import probed
from celery_otel_links.cli.queues import read
from celery_otel_links.cli.tasks import chosen, loaded, queue_of

HERE = EXPORT_TIMEOUT + 1
"""Seconds in which this process has to describe itself."""


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
    answer = _stdout_for_the_answer()
    facts = examine(app, timeout, probe, unknown)
    wrong, tried = findings(facts), [name for name, _ in CHECKS]
    if as_json:
        seen = {one: getattr(facts, one) for one in ("here", "workers", "inactive", "probes")}
        show.as_json({"wrong": [one._asdict() for one in wrong], "tried": tried, "unknown": unknown, **seen}, answer)
    else:
        for one in wrong:
            click.echo(f"wrong     {one.what}\n  found   {one.how}\n  mend    {one.mend}\n", answer)
        for text in unknown:
            click.echo(f"unknown   {text}", answer)
        click.echo(f"tried     {', '.join(tried)}; {len(facts.workers)} workers, {len(facts.probes)} probes", answer)
        click.echo(_sum(len(wrong), len(unknown)), answer)
    sys.exit(1 if wrong else 0)


def _sum(wrong: int, unknown: int) -> str:
    if wrong:
        return "1 finding" if wrong == 1 else f"{wrong} findings"
    return "Nothing is wrong, as far as could be found out." if unknown else "Nothing is wrong."


def _stdout_for_the_answer() -> TextIO:
    """What is stdout by now. What else is printed there, as by a ConsoleSpanExporter, goes to stderr from here on."""
    try:
        number, other = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, AttributeError):  # they are no files, or closed
        return sys.stdout
    sys.stdout.flush()
    answer = os.fdopen(os.dup(number), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
    os.dup2(other, number)
    return answer


def examine(app: Celery, timeout: float, probe: bool, unknown: list[str]) -> Facts:
    """What was found out; what can't be is added to ``unknown``, in sentences."""
    tasks = tuple(chosen(loaded(app), None))
    facts = Facts(here={}, tasks=tasks, queues=_queues(app, tasks, unknown))
    _import_drivers(app)
    here = ask(partial(_here, app))  # an exporter may take as long as a worker that does not answer
    facts = facts._replace(broker=unreachable(app))
    if facts.broker is None:
        try:
            facts = _with_workers(facts, app, timeout, unknown)
        except Exception as error:
            facts = facts._replace(broker=why(error))
    if facts.broker is not None:
        unknown.append("everything about workers: the broker can't be reached")
    facts = facts._replace(here=_answer(here))
    if probe and facts.workers:
        queues = {name: told.get("queues") or () for name, told in facts.workers.items()}
        facts = facts._replace(probes=probed(app, queues, timeout, unknown))
    unknown.extend(f"{name}: {text}" for name, told in processes(facts) for text in told.get("unknown") or ())
    return facts


def _queues(app: Celery, tasks: Iterable[str], unknown: list[str]) -> dict[str, str]:
    """The queues to which tasks are published, each with the first of them."""
    queues: dict[str, str] = {}
    elsewhere = []
    for name in tasks:
        try:
            queue = queue_of(app, name)
        except Exception as error:
            unknown.append(f"the queue of {name}: {in_words(error)}")
            continue
        if queue is None:
            elsewhere.append(name)
        else:
            queues.setdefault(queue, name)
    if elsewhere:
        unknown.append(
            f"the queue of {', '.join(elsewhere)}: an exchange decides on it, whose bindings are not known here"
        )
    return queues


def _import_drivers(app: Celery) -> None:
    """Before threads do that: two which import one package from different ends may see it half made."""
    for driver in (lambda: app.connection_for_write().transport, lambda: app.backend):
        with suppress(Exception):  # those that need it say what is wrong with it
            driver()


def _here(app: Celery) -> Told:
    return describe(app, CeleryLinksInstrumentor().telemetry, trying=True)


def _answer(here: Question[Told]) -> Told:
    try:
        return here.answer(HERE)
    except Exception as error:
        return {"unknown": [f"it can't be described: {why(error)}"]}


def _with_workers(facts: Facts, app: Celery, timeout: float, unknown: list[str]) -> Facts:
    ask_all = partial(app.control.broadcast, reply=True, timeout=timeout)
    asked = time.time()
    replies = ask_all("otel_links") or []
    answered = time.time()
    told = _merged(replies)
    names = [name for reply in replies for name in reply]
    silent = {name for name, its in told.items() if "queues" not in its}  # its reply is that it knows no such command
    queues = _merged(ask_all("active_queues")) if silent else {}
    tasks = _merged(ask_all("registered")) if silent else {}
    consumed = _all(its.get("queues") for its in told.values())
    consumed |= _all([queue["name"] for queue in its or ()] for its in queues.values())
    registered = _all(its.get("tasks") for its in told.values())
    registered |= _all([task.partition(" ")[0] for task in its or ()] for its in tasks.values())
    beside = _consumed_beside(app, facts.queues.keys() - consumed)
    unknown.extend(f"who consumes the queue {queue}: somebody who has not answered" for queue in sorted(beside))
    return facts._replace(
        workers={name: its for name, its in told.items() if its.get("active") or "unknown" in its},
        inactive={name: its for name, its in told.items() if not its.get("active") and "unknown" not in its},
        namesakes=tuple(sorted({name for name in names if names.count(name) > 1})),
        ahead={name: _ahead(its["time"], asked, answered) for name, its in told.items() if "time" in its},
        consumed=consumed | beside,
        registered=registered,
    )


def _consumed_beside(app: Celery, queues: Iterable[str]) -> set[str]:
    """Those of ``queues`` that have consumers, where the broker counts them."""
    with suppress(Exception), app.connection_for_read() as connection:
        return {queue for queue, reading in read(connection, queues).items() if reading.consumers}
    return set()


def _merged(replies: Iterable[Mapping[str, Any]] | None) -> dict[str, Any]:
    return {name: told for reply in replies or () for name, told in reply.items()}


def _all(found: Iterable[Iterable[str] | None]) -> frozenset[str]:
    return frozenset(one for many in found for one in many or ())


def _ahead(read: float, asked: float, answered: float) -> float:
    """How far a clock is ahead of ours at least, which was read between these times."""
    return max(0.0, read - answered) or min(0.0, read - asked)
