"""`celery -A shop otel-links trace TASK_ID`: a task's trace, its workflow, and why the body of a chord never came."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from celery_otel_links.cli import show
from celery_otel_links.cli.lookup import Lookup
from celery_otel_links.cli.tasks import loaded
from celery_otel_links.cli.workflow import NOTHING_STORED, Chord, Known, chords, parents


@click.command()
@click.argument("task_id")
@click.option("--timeout", default=1.0, show_default=True, help="Seconds that workers have to answer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def trace(context: click.Context, /, task_id: str, timeout: float, as_json: bool) -> None:
    """Show the trace and the workflow of a task, and which header task keeps a chord from its body.

    Asks the result backend and the workers that answer; says what neither knows. Ends with 1 if nothing is known.
    """
    lookup = Lookup(loaded(context.obj.app), timeout)
    lookup.of(task_id)
    found, above = chords(lookup.tasks, lookup.stored), parents(lookup.tasks)
    known = lookup.tasks[task_id].state != NOTHING_STORED or len(lookup.tasks) > 1
    search = searches(lookup.tasks, task_id, above)
    if as_json:
        tasks = [{**task._asdict(), "parent": above.get(task.id, task.parent)} for task in lookup.tasks.values()]
        chord = [one._asdict() for one in found]
        show.as_json({"task": task_id, "tasks": tasks, "chords": chord, "unknown": lookup.unknown, "search": search})
    else:
        for where, task in tree(lookup.tasks, above):  # no table: ids are there to be copied, and are not to be wrapped
            click.echo("  ".join(filter(None, [where, task.name, _state(task), task.trace and f"trace {task.trace}"])))
        for line in (*_chord_lines(found), *(f"unknown  {text}" for text in lookup.unknown), f"search   {search}"):
            click.echo(line)
    if not known:
        click.echo(f"Nothing is known of {task_id}.", err=True)
    sys.exit(0 if known else 1)


def tree(tasks: Mapping[str, Known], above: Mapping[str, str]) -> Iterator[tuple[str, Known]]:
    """The tasks, each below the one that has published it, and its id with what shows that in front of it."""
    members: dict[str | None, list[Known]] = {}
    for task in tasks.values():
        members.setdefault(above.get(task.id), []).append(task)
    todo = [(task, "", "") for task in reversed(members.get(None, []))]
    while todo:
        task, mark, guide = todo.pop()
        yield mark + task.id, task
        below = members.get(task.id, [])
        for child in reversed(below):
            last = child is below[-1]
            todo.append((child, guide + ("└─ " if last else "├─ "), guide + ("   " if last else "│  ")))


def searches(tasks: Mapping[str, Known], task_id: str, above: Mapping[str, str]) -> str:
    """How to find the traces of the workflow where spans are kept, whatever is known of them here."""
    root = task_id
    while root in above:
        root = above[root]
    root = tasks[task_id].root or root
    return f'messaging.message.id = "{task_id}"; the tasks below {root}: messaging.message.conversation_id = "{root}"'


def _state(task: Known) -> str:
    where = f" at {task.worker}" if task.worker else ""
    return f"{task.state}{where}" + (f": {task.error}" if task.error else "")


def _chord_lines(found: list[Chord]) -> Iterator[str]:
    for one in found:
        what: Any = {True: "has come", False: "never came", None: "is not known to have come"}[one.came]
        bodies = ", ".join(one.bodies) or "(its id is not known)"
        yield f"chord    {one.group} of {len(one.headers)} header tasks as far as known: its body {bodies} {what}"
        yield from (f"  since  {text}" for text in one.wrong)
