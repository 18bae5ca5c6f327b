"""The publish under way in this context, and what the blocks around it ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

from celery import Celery
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import Span

from celery_otel_links._declared.names import BEAT_DRIFT, BEAT_ENTRY, LATENCY_HANDOVER
from celery_otel_links._emit.instruments import Instruments
from celery_otel_links._rules.facts import Mode
from celery_otel_links._tracing.plans import Plan, Stamp


class Asked(NamedTuple):
    """What blocks around a publish ask for."""

    mode: Mode | None = None
    """Of the innermost ``with propagation()``."""
    captured: float | None = None
    """When the context was captured that the innermost ``with attach()`` restores."""
    entry: str | None = None
    """Of beat's schedule, which is being sent."""
    drift: float | None = None
    """Seconds since that was due, where the schedule says when it was."""

    def attributes(self, now: float) -> dict[str, Any]:
        """What a PRODUCER span that starts ``now`` has because of it."""
        handover = None if self.captured is None else max(0.0, now - self.captured)
        pairs = ((LATENCY_HANDOVER, handover), (BEAT_ENTRY, self.entry), (BEAT_DRIFT, self.drift))
        return {name: value for name, value in pairs if value is not None}


NOTHING_ASKED = Asked()


class Publishing:
    """One ``send_task`` under way, with what the blocks around it ask for; between two of them just that."""

    asked = NOTHING_ASKED
    app: Celery | None = None
    id: str | None = None
    """Of the task whose message is to come."""
    task: Any = None
    plan: Plan | None = None
    """Of a message that gets a span, or would if its trace was sampled."""
    stamp: Stamp
    span: Span | None = None
    context: Context | None = None
    """With its span, where it has one."""
    instruments: Instruments | None = None
    token: Token[Context] | None = None
    interrupted: BaseException | None = None
    """What Celery raised into the task while its message was made."""
    started: float | None = None
    """By ``perf_counter``; None where nothing is measured, or the end can't be seen."""


under_way: ContextVar[Publishing | None] = ContextVar("celery_otel_links_publishing", default=None)


def asked_here() -> Asked:
    """What the blocks around this place ask for."""
    publishing = under_way.get()
    return NOTHING_ASKED if publishing is None else publishing.asked


@contextmanager
def asking(asked: Asked) -> Iterator[None]:
    """A block that asks for this."""
    publishing = Publishing()
    publishing.asked = asked
    token = under_way.set(publishing)
    try:
        yield
    finally:
        with suppress(ValueError):  # it ends in another context, as in a generator: nothing is left there
            under_way.reset(token)


@contextmanager
def as_of(context: Context, asked: Asked) -> Iterator[None]:
    """The same, with ``context`` in place of the current one."""
    token = otel.attach(context)
    try:
        with asking(asked):
            yield
    finally:
        otel.detach(token)
