"""An attempt: a delivery that runs. The only thing that changes while a task runs, and the only one that knows it."""

from __future__ import annotations

from contextvars import ContextVar, Token
from functools import cached_property

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext

from celery_otel_links._rules.canvas import Publisher
from celery_otel_links._rules.claims import Predecessor
from celery_otel_links._tracing.delivery import Delivery


class Attempt:
    """One attempt of a task, from ``task_prerun`` to ``task_postrun``."""

    delivery: Delivery
    known = False
    """Whether there is a delivery: making it may have failed."""
    traced: bool | None = False
    """Whether it has a span, or would have one if its trace was sampled."""
    span: Span | None = None
    context: SpanContext | None = None
    """Of its run span."""
    first: SpanContext | None = None
    """Where the attempts of its task belong: their parent."""
    origin: SpanContext | None = None
    token: Token[Context] | None = None
    started = 0.0
    """By ``perf_counter``."""
    header_runs: str | None = None
    """The header with the run spans of the header tasks, once it is known: a body may be several messages."""

    def __init__(self, task_id: str | None, outer: Attempt | None) -> None:
        self.task_id = task_id
        self.outer = outer
        """The attempt in which this one runs, eagerly."""

    @cached_property
    def publisher(self) -> Publisher:
        """What the classifier of messages has to know of the task that publishes them; the body of a chord is long."""
        delivery = self.delivery
        return Publisher.of(delivery.request, delivery.plan.route.name, delivery.facts.next_id)

    @cached_property
    def predecessor(self) -> Predecessor:
        """What a message that the attempt publishes depends on."""
        delivery = self.delivery
        return Predecessor(
            decision=delivery.decision,
            claims=delivery.claims,
            chords=delivery.facts.chords,
            published=delivery.published,
            creation=delivery.creation,
            origin=self.origin,
            context=self.context,
            first=self.first,
        )


running: ContextVar[Attempt | None] = ContextVar("celery_otel_links_running", default=None)
"""The attempt that runs here; threads and tasks that copy the context see it too."""


def current_attempt() -> Attempt | None:
    """The attempt that runs here, if its delivery is known."""
    attempt = running.get()
    return attempt if attempt is not None and attempt.known else None
