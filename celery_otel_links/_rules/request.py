"""Reading a worker's request: headers wherever a version of Celery keeps them, and what the main process noted."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from celery.app.task import Context

from celery_otel_links._rules.facts import Request

RECEIVED = "celery-otel-links-received"
"""Not on the wire: under this name a worker's main process puts the time of receipt into a request."""
SECOND = "celery-otel-links-second"
"""Not on the wire: under this name it notes that it has received the message before."""
PACKAGE = "celery_batches"
MESSAGES = "celery-otel-links-messages"
"""Not on the wire: under this name a request that we make of a batch holds those of its messages."""


def header(request: Request, name: str) -> Any:
    """A header of the message that ``request`` came with, wherever this version of Celery keeps it."""
    value = vars(request).get(name)
    if value is None:
        headers = request.headers
        return headers.get(name) if isinstance(headers, dict) else None
    return value


def received_at(request: Request) -> float | None:
    """When the worker's main process received the message of ``request``, in seconds since the epoch."""
    received = vars(request).get(RECEIVED)
    return received if isinstance(received, float) and 0 < received < 1e11 else None


def unstarted(fields: Mapping[str, Any], *, message: Any = None) -> Request:
    """A request for a task that has not started: of the fields of a worker's request, or of a bare ``message``."""
    if message is not None:
        body = None
        if not fields.get("id"):  # protocol 1 has them in the body
            with suppress(Exception):  # what cannot be decoded
                body = message.payload
        info = getattr(message, "delivery_info", None)
        properties = getattr(message, "properties", None) or {}
        fields = {**(body if isinstance(body, Mapping) else {}), **fields, "delivery_info": info, **properties}
    request: Any = Context({str(name): value for name, value in fields.items()})
    return request  # type: ignore[no-any-return]


def is_batch_task(task: object) -> bool:
    """Whether ``task`` runs once for many messages, so that nobody knows beforehand which span is whose."""
    return any(str(kind.__module__).partition(".")[0] == PACKAGE for kind in type(task).__mro__)


def gathered(request: Request, args: Any) -> Request:
    """The request of a batch, where ``request`` runs one with these ``args``; otherwise ``request``.

    celery-batches sends ``task_prerun`` once for a batch. The request has no id and no header of any message; the only
    argument is the list of the messages, each with its headers as ``request_dict``. What is made of it holds
    those of the messages, and of the first of them what says where and when it was received.
    """
    if request.id is not None or not (isinstance(args, (list, tuple)) and args and isinstance(args[0], list)):
        return request
    messages = [_request(message) for message in args[0] if isinstance(getattr(message, "request_dict", None), dict)]
    if not messages:
        return request
    kept = {name: value for name, value in vars(messages[0]).items() if name in (RECEIVED, "hostname", "delivery_info")}
    return unstarted({**kept, MESSAGES: messages})


def messages_of(request: Request) -> list[Request]:
    """The messages of a batch; none of any other request."""
    return vars(request).get(MESSAGES) or []


def _request(message: Any) -> Request:
    fields = {**message.request_dict, "id": message.id, "hostname": message.hostname}
    return unstarted({**fields, "delivery_info": message.delivery_info})
