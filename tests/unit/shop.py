"""A shop whose tasks are published to memory and run in this process, by the functions that a worker runs them with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery, signals
from celery.app.trace import build_tracer
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from celery_otel_links import CeleryLinksInstrumentor


def nothing(*_: Any, **__: Any) -> None:
    """What a task does that is published only."""


class Started(SpanProcessor):
    """All spans that were started, in the order of their start."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_start(self, span: Span, parent_context: object = None) -> None:
        self.spans.append(span)


class Shop:
    """An instrumented application, its spans, and the messages that it has published."""

    def __init__(self, *, provider: TracerProvider | None = None, meters: Any = None, **config: Any) -> None:
        self._started = Started()
        self.provider = provider or TracerProvider()
        self.provider.add_span_processor(self._started)
        self.tracer = self.provider.get_tracer("test")
        self.app = Celery("shop", broker="memory://", set_as_current=False)
        self.app.conf.broker_transport_options = {"polling_interval": 0.01}
        self.app.set_current()
        self.sent: list[tuple[str, dict[str, Any], Any]] = []
        self.instrumentor = CeleryLinksInstrumentor()
        self.instrumentor.instrument(app=self.app, config=config, tracer_provider=self.provider, meter_provider=meters)
        signals.after_task_publish.connect(self._note, weak=False)

    def close(self) -> None:
        signals.after_task_publish.disconnect(self._note)
        self.instrumentor.uninstrument()
        self.app.close()
        unended = [span.name for span in self._started.spans if span.end_time is None]
        assert unended == [], "spans that nobody has ended"

    @property
    def spans(self) -> list[ReadableSpan]:
        """All spans, in the order of their start."""
        return self._started.spans

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def task(self, name: str, function: Callable[..., Any] = nothing, **options: Any) -> Any:
        """A task of this name."""
        return self.app.task(shared=False, name=name, **options)(function)

    def publish(self, name: str, *args: Any, **options: Any) -> dict[str, Any]:
        """Publish a task, and give back the headers of its message."""
        self.task(name)
        self.app.tasks[name].apply_async(args, **options)
        return self.sent[-1][1]

    def run(self, task: Any, headers: Mapping[str, Any] | None = None, *args: Any, **request: Any) -> Any:
        """Run a task as a worker's process does that got a message with these headers."""
        headers = {"id": "the-id", **(headers or {})}
        info = {"routing_key": "celery", "exchange": "", "redelivered": False}
        fields = {**headers, "delivery_info": info, "hostname": "worker@here", **request}
        return build_tracer(task.name, task, app=self.app)(fields["id"], args, {}, fields)

    def _note(self, sender: str, headers: dict[str, Any], body: Any, **_: Any) -> None:
        self.sent.append((sender, dict(headers), body))
