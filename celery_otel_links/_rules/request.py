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
