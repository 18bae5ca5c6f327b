"""Log records that name the task in which they were made, and its trace: with ``logging``, and with structlog.

handler.addFilter(TaskContextFilter())                      # logging
structlog.configure(processors=[TaskContextFilter(), ...])  # structlog
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from celery_otel_links._errors import PASSING
from celery_otel_links._tracing.delivery import Attempt, current_attempt

FIELDS = ("trace_id", "span_id", "origin_trace_id", "task_id", "task_name", "propagation_mode")


class TaskContextFilter(logging.Filter):
    """Adds to every record of a task what it belongs to; it lets every record pass.

    ``trace_id`` and ``span_id`` are those of the current span, in hexadecimal; ``origin_trace_id`` that of the trace
    in which the story began, which is the same trace unless the task was linked; ``task_id``, ``task_name`` and
    ``propagation_mode`` say which task it is. A field that a record has already stays as it is.

    On records outside of tasks the fields are empty texts, so that a format can name them. Put it on a handler: a
    filter of a logger does not see what other loggers pass up to it. In structlog it is a processor, which adds
    nothing outside of tasks.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields to ``record``. Never raises."""
        fields = vars(record)
        for name, value in (_fields() or _OUTSIDE).items():
            fields.setdefault(name, value)
        return True

    def __call__(self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Add the fields to an event of structlog."""
        for name, value in _fields().items():
            event_dict.setdefault(name, value)
        return event_dict


_OUTSIDE = dict.fromkeys(FIELDS, "")


def _fields() -> dict[str, str]:
    """What the task that runs here belongs to; nothing where none does, or where it can't be told."""
    attempt = current_attempt()
    if attempt is None:
        return {}
    try:
        return dict(zip(FIELDS, _of(attempt), strict=True))
    except PASSING:
        raise
    except Exception:  # a span of somebody else's: whoever logs does not have to know
        return {}


def _of(attempt: Attempt) -> tuple[str, str, str, str, str, str]:
    delivery, context = attempt.delivery, get_current_span().get_span_context()
    if not context.is_valid and attempt.context is not None:
        context = attempt.context
    trace_id = format_trace_id(context.trace_id) if context.is_valid else ""
    span_id = format_span_id(context.span_id) if context.is_valid else ""
    origin = format_trace_id(attempt.origin.trace_id) if attempt.origin is not None else trace_id
    task_id = delivery.id or attempt.task_id or ""
    return trace_id, span_id, origin, task_id, delivery.plan.route.name, delivery.stamp.decision.mode
