"""The tasks of an application, and where Celery publishes them to."""

from __future__ import annotations

import fnmatch
from typing import Any

import click
from celery import Celery

from celery_otel_links._config.modes import meant
from celery_otel_links._rules import routes
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


def queue_of(app: Celery, name: str) -> str | None:
    """The queue to which a task is published; None where bindings decide that, of which the application knows none.

    Raises:
        QueueNotFound: the application knows no such queue, and may not make it.
    """
    message = message_to(app, name, None)
    if not message.exchange:  # the default exchange knows all queues by their names
        return str(message.routing_key)
    if message.declare and message.declare[0].exchange.name == message.exchange:
        return str(message.declare[0].name)
    bound = {one.name: one.routing_key for one in app.amqp.queues.values() if one.exchange.name == message.exchange}
    found = routes.queue_of(str(message.routing_key), bound)
    return found if found in bound else None


def message_to(app: Celery, name: str, queue: str | None) -> Message:
    """The message as Celery would publish it: only what says where it goes."""
    task = app.tasks[name]
    asked = {one: getattr(task, one, None) for one in ("queue", "exchange", "routing_key")}
    asked["queue"] = queue or asked["queue"]
    routed = app.amqp.router.route({key: value for key, value in asked.items() if value is not None}, name, (), {})
    target, exchange, key = (routed.get(one) for one in ("queue", "exchange", "routing_key"))
    if target is None and exchange is None:
        target = app.amqp.default_queue
    own: Any = getattr(target, "exchange", None)
    if not (exchange and key) and getattr(own, "type", "direct") == "direct":
        exchange, key = "", getattr(target, "name", key)
    elif exchange is None:
        exchange, key = own, key or getattr(target, "routing_key", None)
    exchange = str(getattr(exchange, "name", exchange))
    return Message(name, {}, ((), {}, {}), {}, exchange, str(key or ""), [target] if target else None)
