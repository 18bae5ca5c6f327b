"""An attempt: a delivery that runs. The only thing that changes while a task runs, and the only one that knows it."""

from __future__ import annotations

from contextvars import ContextVar, Token

from opentelemetry import context as otel
from opentelemetry.trace import Span, SpanContext

from celery_otel_links._rules.canvas import Publisher
from celery_otel_links._rules.claims import Predecessor
from celery_otel_links._tracing.delivery import Delivery


class Attempt:
    """One attempt of a task, from ``task_prerun`` to ``task_postrun``."""

    __slots__ = (
        "_publisher",
        "context",
        "delivery",
        "first",
        "header_runs",
        "origin",
        "outer",
        "span",
        "started",
        "task_id",
        "token",
    )

    def __init__(self, task_id: str | None, outer: Attempt | None) -> None:
        self.task_id = task_id
        self.outer = outer
        """The attempt in which this one runs, eagerly."""
        self.delivery: Delivery | None = None
        self.span: Span | None = None
        self.context: SpanContext | None = None
        """Of its run span."""
        self.first: SpanContext | None = None
        """Where the attempts of its task belong: their parent."""
        self.origin: SpanContext | None = None
        self.token: Token[otel.Context] | None = None
        self.started = 0.0
        """By ``perf_counter``."""
        self.header_runs: str | None = None
        """The header with the run spans of the header tasks, once it is known: a body may be several messages."""
        self._publisher: Publisher | None = None

    def publisher(self, delivery: Delivery) -> Publisher:
        """What the classifier of messages has to know of the task that publishes them; made once."""
        if self._publisher is None:
            self._publisher = Publisher.of(delivery.request, delivery.plan.route.name, delivery.facts.next_id)
        return self._publisher

    def predecessor(self, delivery: Delivery) -> Predecessor:
        """What a message that the attempt publishes depends on."""
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
