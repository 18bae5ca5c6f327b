"""The tasks of an application, and where Celery publishes them to."""

from __future__ import annotations

import fnmatch
from typing import Any

import click
from celery import Celery
from kombu import Queue

from celery_otel_links._config.modes import meant
from celery_otel_links._rules.facts import Message


def loaded(app: Celery) -> Celery:
    """``app`` with all of its tasks, as a worker has them."""
    app.finalize()
    app.loader.import_default_modules()
    return app


def chosen(app: Celery, pattern: str | None) -> list[str]:
    """The names of the tasks that are meant: without a pattern all but Celery's own.

    Raises:
        click.BadParameter: there is none; says which was probably meant.
    """
    names = sorted(app.tasks)
    if pattern is None:
        return [name for name in names if not name.startswith("celery.")]
    found = fnmatch.filter(names, pattern)
    if not found:
        raise click.BadParameter(f"no task {pattern!r} is registered here.{meant(pattern, names)}", param_hint="TASK")
    return found


def queue_of(app: Celery, name: str) -> str:
    """The queue to which a task is published."""
    message = message_to(app, name, None)
    return message.declare[0].name if message.declare else str(message.routing_key)


def message_to(app: Celery, name: str, queue: str | None) -> Message:
    """The message as Celery would publish it: only what says where it goes."""
    options: dict[str, Any] = {} if queue is None else {"queue": queue}
    routed = app.amqp.router.route(options, name, (), {})
    target = routed.get("queue")
    if isinstance(target, Queue):
        exchange, key = target.exchange.name, routed.get("routing_key") or target.routing_key or target.name
        return Message(name, {}, ((), {}, {}), {}, exchange, key, [target])
    return Message(name, {}, ((), {}, {}), {}, routed.get("exchange") or "", routed.get("routing_key") or "", None)
