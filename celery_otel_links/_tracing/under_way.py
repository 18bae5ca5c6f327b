"""The publish under way in this context, and what the blocks around it ask for."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from celery import Celery
from opentelemetry.context import Context
from opentelemetry.trace import Span

from celery_otel_links._rules.facts import Mode
from celery_otel_links._tracing.plans import Plan, Stamp


class Asked(NamedTuple):
    """What blocks around a publish ask for."""

    mode: Mode | None = None
    """Of the innermost ``with propagation()``."""
    captured: float | None = None
    """When the context was captured that the innermost ``with attach()`` restores."""


class Publishing:
    """One ``send_task`` under way, with what the blocks around it ask for; between two of them just that."""

    asked = Asked()
    app: Celery | None = None
    id: str | None = None
    """Of the task whose message is to come."""
    task: Any = None
    plan: Plan | None = None
    """Of a message that gets a span, or would if its trace was sampled."""
    stamp: Stamp
    span: Span | None = None
    token: Token[Context] | None = None
    interrupted: BaseException | None = None
    """What Celery raised into the task while its message was made."""
    started: float | None = None
    """By ``perf_counter``; None where the end can't be seen."""


under_way: ContextVar[Publishing | None] = ContextVar("celery_otel_links_publishing", default=None)
