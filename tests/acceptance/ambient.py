"""A span of somebody else's that is current already when a task starts, and until after it has ended."""

from __future__ import annotations

from celery.signals import task_postrun, task_prerun
from opentelemetry import context, trace

AMBIENT = trace.SpanContext(0xA, 0xB, is_remote=False, trace_flags=trace.TraceFlags(1))
_tokens: list[object] = []


def attach() -> None:
    """Make it current at every start from now on; before the receivers that are connected later."""
    task_prerun.connect(_attach, weak=False)


def detach() -> None:
    """Take it away at every end from now on; after the receivers that are connected already."""
    task_postrun.connect(_detach, weak=False)


def _attach(**_: object) -> None:
    _tokens.append(context.attach(trace.set_span_in_context(trace.NonRecordingSpan(AMBIENT))))


def _detach(**_: object) -> None:
    context.detach(_tokens.pop())
