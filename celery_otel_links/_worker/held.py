"""What a worker says of the messages that it holds: their place in workflows, their chords, their traces.

Importing this module makes the command known to Celery.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from celery import Celery
from celery.worker import state
from celery.worker.control import inspect_command
from opentelemetry.trace import format_trace_id

from celery_otel_links import CeleryLinksInstrumentor
from celery_otel_links._errors import in_words
from celery_otel_links._rules.facts import Incoming
from celery_otel_links._rules.message import incoming
from celery_otel_links._rules.request import unstarted
from celery_otel_links._tracing.delivery import deliver
from celery_otel_links._tracing.telemetry import Telemetry

_PLACES = ("active", "reserved", "scheduled")


@inspect_command(name="otel_links_held", help="The messages of a workflow that this worker holds.")  # type: ignore[untyped-decorator, unused-ignore]
def otel_links_held(worker: Any, ids: Any = (), **_: Any) -> dict[str, Any]:
    """What :func:`held` finds for these ids. Never raises."""
    try:
        return {"tasks": held(worker.app, CeleryLinksInstrumentor().telemetry, [str(one) for one in ids])}
    except Exception as error:
        return {"error": in_words(error)}


def held(app: Celery, telemetry: Telemetry | None, ids: Collection[str]) -> list[dict[str, Any]]:
    """The messages here that belong to one of ``ids``, which name tasks, root tasks, groups or bodies of chords.

    Nothing is changed: neither the messages nor what Celery knows of them.
    """
    wanted, found = set(ids), []
    for message in list(state.requests.values()):
        request = _request(message)
        facts = incoming(request, message.task.name)
        told = _told(message, request, facts)
        if not wanted.isdisjoint(_names(told)):
            found.append({**told, "trace": _trace(app, telemetry, message.task, request, facts)})
    return found


def _names(one: dict[str, Any]) -> set[str | None]:
    return {one["id"], one["root"], one["parent"], one["group"], *one["bodies"]}


def _request(message: Any) -> Any:
    """What the task will have as its request."""
    fields = {**message.request_dict}
    payload = message.message.payload  # it is decoded once, when the message comes
    if isinstance(payload, (list, tuple)) and len(payload) > 2:
        fields.update(payload[2] or {})
    return unstarted({**fields, "delivery_info": message.delivery_info})


def _told(message: Any, request: Any, facts: Incoming) -> dict[str, Any]:
    fields = vars(request)
    place = next((one for one in _PLACES if message in getattr(state, f"{one}_requests", ())), "reserved")
    return {
        "id": message.id,
        "name": message.task.name,
        "state": place,
        "seconds": time.time() - message.time_start if place == "active" and message.time_start else None,
        "root": fields.get("root_id"),
        "parent": fields.get("parent_id"),
        "group": fields.get("group"),
        "bodies": [key for key in facts.chords[:1] if key is not None],
    }


def _trace(app: Celery, telemetry: Telemetry | None, task: Any, request: Any, facts: Incoming) -> str | None:
    """The trace of the run, as far as its message fixes it: a root without a reservation is known to its run alone."""
    if telemetry is None:
        return None
    config, plans = telemetry.settle(app)
    plan = plans.to_run(app, task, task.name, request.delivery_info or {}, request.kwargs)
    delivery = deliver(config, plan, facts, request, time.time(), telemetry.spans.most_links)
    fixed = delivery.relation.parent or delivery.relation.reserved
    return None if fixed is None else format_trace_id(fixed.trace_id)
