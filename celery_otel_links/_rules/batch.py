"""How celery-batches lays a batch out: one run for many messages.

That package sends ``task_prerun`` once for a batch. The request has no id and no header of any message; the only
argument is the list of the messages, each with its headers as ``request_dict``.
"""

from __future__ import annotations

from typing import Any

from celery_otel_links._rules.facts import Request
from celery_otel_links._rules.request import RECEIVED, unstarted

PACKAGE = "celery_batches"
MESSAGES = "celery-otel-links-messages"
"""Not on the wire: under this name a request that we make of a batch holds those of its messages."""


def is_batch_task(task: object) -> bool:
    """Whether ``task`` runs once for many messages, so that nobody knows beforehand which span is whose."""
    return any(kind.__module__.partition(".")[0] == PACKAGE for kind in type(task).__mro__)


def gathered(request: Request, args: Any) -> Request:
    """The request of a batch, where ``request`` runs one with these ``args``; otherwise ``request``.

    It holds those of the messages, and of the first of them what says where and when it was received.
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
