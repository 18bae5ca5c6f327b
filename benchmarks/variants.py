"""The instrumentations whose cost is compared, each with a way to connect it and to take it away again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from celery import signals
from opentelemetry import context, propagate, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from celery_otel_links import CeleryLinksInstrumentor, Config

Disconnect = Callable[[], object]
Connect = Callable[[TracerProvider, MeterProvider], Disconnect]


class Floor:
    """Two spans, one inject, one extract with the SDK, from signal handlers; nothing else."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self.tracer = tracer

    def connect(self) -> None:
        signals.before_task_publish.connect(self.publishing, weak=False)
        signals.after_task_publish.connect(self.published, weak=False)
        signals.task_prerun.connect(self.starting, weak=False)
        signals.task_postrun.connect(self.ended, weak=False)

    def disconnect(self) -> None:
        signals.before_task_publish.disconnect(self.publishing)
        signals.after_task_publish.disconnect(self.published)
        signals.task_prerun.disconnect(self.starting)
        signals.task_postrun.disconnect(self.ended)

    def publishing(self, sender, headers, **_):
        self.producer = self.tracer.start_span("apply_async", kind=trace.SpanKind.PRODUCER)
        self.producer_token = context.attach(trace.set_span_in_context(self.producer))
        propagate.inject(headers)

    def published(self, **_):
        context.detach(self.producer_token)
        self.producer.end()

    def starting(self, task, **_):
        parent = propagate.extract(task.request.__dict__)
        self.consumer = self.tracer.start_span("run", parent, kind=trace.SpanKind.CONSUMER)
        self.consumer_token = context.attach(trace.set_span_in_context(self.consumer, parent))

    def ended(self, **_):
        context.detach(self.consumer_token)
        self.consumer.end()


def connect_none(tracers: TracerProvider, meters: MeterProvider) -> Disconnect:
    return lambda: None


def connect_floor(tracers: TracerProvider, meters: MeterProvider) -> Disconnect:
    floor = Floor(tracers.get_tracer("floor"))
    floor.connect()
    return floor.disconnect


def connect_contrib(tracers: TracerProvider, meters: MeterProvider) -> Disconnect:
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    CeleryInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters, skip_dep_check=True)
    return CeleryInstrumentor().uninstrument


def ours(**config: object) -> Connect:
    def connect(tracers: TracerProvider, meters: MeterProvider) -> Disconnect:
        CeleryLinksInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters, config=config)
        return CeleryLinksInstrumentor().uninstrument

    return connect


NAMES = "child, contrib's names"
CONNECT: Mapping[str, Connect] = {
    "none": connect_none,
    "floor": connect_floor,
    "contrib": connect_contrib,
    "child": ours(default="child"),
    "link": ours(default="link"),
}
if "contrib_names" in {option.name for option in fields(Config)}:
    CONNECT = {**CONNECT, NAMES: ours(default="child", contrib_names=True)}


@dataclass(frozen=True)
class Variant:
    """One instrumentation under one condition."""

    instrumentation: str
    sampled: bool = True
    metrics: bool = False
    watched: bool = False
    """A span processor looks at spans when they start, as in some systems."""

    @property
    def connect(self) -> Connect:
        return CONNECT[self.instrumentation]

    def with_metrics(self) -> "Variant":
        return replace(self, metrics=True)

    def __str__(self) -> str:
        said = ((not self.sampled, " unsampled"), (self.metrics, " metrics"), (self.watched, " watched"))
        return self.instrumentation + "".join(word for holds, word in said if holds)


BASE = Variant("none")
"""What the costs of all others are above."""


def variants(*, quick: bool = False) -> list[Variant]:
    """Everything that is compared, or only what the goals speak of."""
    contrib, child, link = Variant("contrib"), Variant("child"), Variant("link")
    unsampled = [Variant("contrib", sampled=False), Variant("child", sampled=False)]
    goals = [contrib, child, link, *unsampled, *(one.with_metrics() for one in (contrib, child, link))]
    if quick:
        return goals
    more = [Variant("floor"), Variant("floor", sampled=False), Variant("link", sampled=False)]
    more += [one.with_metrics() for one in unsampled]
    more += [replace(one, watched=True) for one in (contrib, child, link)]
    if NAMES in CONNECT:
        more += [Variant(NAMES), Variant(NAMES, metrics=True)]
    return goals + more
