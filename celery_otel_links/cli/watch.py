"""`celery -A shop otel-links watch`: how deep the queues are and how old, as metrics; a sidecar, one per broker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import click
from opentelemetry.metrics import CallbackOptions, Observation

from celery_otel_links import CeleryLinksInstrumentor, __version__
from celery_otel_links._declared.names import DESTINATION, QUEUE_GAUGES, SCHEMA, SCOPE
from celery_otel_links._emit.metrics import Metrics
from celery_otel_links.cli import metering, show
from celery_otel_links.cli.looks import Row, Watcher
from celery_otel_links.cli.stopping import stopped_by_signal


@click.command()
@click.option("--interval", default=15.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds.")
@click.option("--queues", default="", metavar="A,B", help="Watch these besides those of the application.")
@click.option("--once", is_flag=True, help="Print what there is now, export nothing, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a line for each look, unless --once.")
@click.pass_context
def watch(context: click.Context, interval: float, queues: str, once: bool, as_json: bool) -> None:
    """Observe the depth of the queues, the age of their oldest messages and who consumes them, until stopped.

    They are exported by the application's meter provider, or by one that the OTEL_* variables describe. Nothing is
    taken from a queue. What the broker can't tell, or not within the interval, is left out.
    """
    watcher = Watcher(context.obj.app, [name for name in queues.split(",") if name], interval)
    if once:
        rows = watcher.look()
        if rows is None:
            raise click.ClickException(watcher.reason)
        show.as_json(_named(rows)) if as_json else show.table(_COLUMNS, [_shown(row) for row in rows])
        return
    _observe(watcher)
    stopped = stopped_by_signal()
    if not as_json:
        click.echo(f"Watching the queues every {interval:g} s. Ctrl-C ends it.")
    told = ""
    while not stopped.is_set():
        begun = time.monotonic()
        rows = watcher.look()
        if rows is not None and as_json:
            click.echo(json.dumps(_named(rows)))
        if watcher.reason != told:
            click.echo(watcher.reason or "the broker answers again", err=True)
            told = watcher.reason
        stopped.wait(max(0.0, begun + interval - time.monotonic()))


def _observe(watcher: Watcher) -> None:
    """Have the collections of the meter provider ask for what the last look saw."""
    telemetry = CeleryLinksInstrumentor().telemetry
    metrics = telemetry.metrics if telemetry is not None else Metrics(None, __version__)
    if metrics.active() is None:
        metering.provide()
    meter = metrics.provider().get_meter(SCOPE, __version__, SCHEMA)
    for name, declared in QUEUE_GAUGES.items():
        callback = partial(_observations, watcher, name.rpartition(".")[2])
        meter.create_observable_gauge(name, [callback], declared.unit, declared.description)


def _observations(watcher: Watcher, field: str, _: CallbackOptions) -> Iterator[Observation]:
    """What is known, and nothing of before."""
    for row in watcher.rows or ():
        value = getattr(row, field)
        if value is not None:
            yield Observation(value, {DESTINATION: row.queue})


def _named(rows: list[Row]) -> dict[str, Any]:
    return {"queues": [row._asdict() for row in rows]}


def _shown(row: Row) -> tuple[str, ...]:
    return (row.queue, *("unknown" if value is None else f"{value:.0f}" for value in row[1:]))


_COLUMNS = ("queue", "depth", "oldest, s", "consumers")
