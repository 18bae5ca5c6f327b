"""`celery -A shop otel-links explain`: the mode of every task, and the rule that says so.

It asks the plans and the policy that decide when a message is published and when its task starts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import click
from celery import Celery

from celery_otel_links import CeleryLinksInstrumentor
from celery_otel_links._rules.facts import Decision
from celery_otel_links._rules.policy import beyond, capped
from celery_otel_links._tracing.plans import Plan
from celery_otel_links._tracing.telemetry import Telemetry
from celery_otel_links.cli import show
from celery_otel_links.cli.tasks import chosen, loaded, message_to
from celery_otel_links.cli.viewer.words import MODES, REASONS

UNKNOWN = "A call can ask for a mode of its own, and a loop is seen only while it runs: neither is known here."


class Asked(NamedTuple):
    """What is asked about how a task is published."""

    queue: str | None = None
    eta: float | None = None
    """Seconds ahead."""
    group: bool = False
    caller: str | None = None
    """The task that publishes it."""


class Explained(NamedTuple):
    """What a task gets."""

    task: str
    queue: str
    mode: str
    reason: str
    rank: int
    because: str
    """The rule, in words."""
    run: str
    """What the run span will be, in words."""


@click.command()
@click.argument("task", required=False)
@click.option("--queue", help="As if it was published to this queue.")
@click.option("--eta", type=float, metavar="SECONDS", help="As if it was due so many seconds later.")
@click.option("--group", is_flag=True, help="As a member of a group, or a header task of a chord.")
@click.option("--caller", metavar="TASK", help="As if this task published it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def explain(context: click.Context, /, task: str | None, as_json: bool, **options: Any) -> None:
    """Show which mode each task gets, and the rule that says so.

    TASK is a name or a pattern such as "reports.*"; without it, every task of the application is shown.
    """
    app = loaded(context.obj.app)
    telemetry = of(app)
    asked = Asked(**options)
    found = [explained(telemetry, app, name, asked) for name in chosen(app, task)]
    if as_json:
        show.as_json([one._asdict() for one in found])
        return
    if len(found) == 1:
        (one,) = found
        click.echo(f"{one.task} on the queue {one.queue}: {one.mode}, since {one.because} ({one.reason}).")
        click.echo(f"{one.run}.")
    else:
        rows = [(one.task, one.queue, one.mode, one.reason, one.because) for one in found]
        show.table(("task", "queue", "mode", "rule", "because"), rows)
    click.echo(f"\n{UNKNOWN}")


def of(app: Celery) -> Telemetry:
    """What is active in this process for ``app``.

    Raises:
        click.ClickException: nothing is.
    """
    telemetry = CeleryLinksInstrumentor().telemetry
    if telemetry is None or not telemetry.settle(app)[0].enabled:
        raise click.ClickException(
            "celery-otel-links is not active in this application: call celery_otel_links.setup(app), or start with "
            "opentelemetry-instrument; `enabled` must not be False"
        )
    return telemetry


def explained(telemetry: Telemetry, app: Celery, name: str, asked: Asked) -> Explained:
    """What ``name`` gets when it is published as asked."""
    config, plans = telemetry.settle(app)
    task, message = app.tasks[name], message_to(app, name, asked.queue)
    plan = plans.to_publish(app, message, task)
    sent = plan.decide(
        fan_out=asked.group,
        publishes_itself=not asked.group and asked.caller == name,
        delayed=asked.eta is not None and beyond(asked.eta, config.delay_threshold),
    )
    info = {"exchange": plan.route.exchange, "routing_key": plan.route.routing_key}
    worker = plans.to_run(app, task, name, info, None)
    decision = capped(worker.decide(inherited=sent), worker.trust)
    return Explained(
        task=name,
        queue=plan.route.queue,
        mode=decision.mode,
        reason=decision.reason,
        rank=decision.rank,
        because=REASONS[decision.reason],
        run=_run(plan, decision),
    )


def _run(plan: Plan, decision: Decision) -> str:
    if plan.excluded:
        return "It has no span; the context passes through it"
    if decision.mode == "link" and plan.reserves(decision):
        return f"{MODES['link']}, and its publisher to it"
    return MODES[decision.mode]
