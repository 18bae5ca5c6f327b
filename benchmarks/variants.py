"""The instrumentations whose cost is compared, each with a way to connect it and to take it away again."""

from collections.abc import Callable
from dataclasses import dataclass, field

from celery import signals
from opentelemetry import context, propagate, trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

Disconnect = Callable[[], object]


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


def connect_none(tracers: TracerProvider, meters: object) -> Disconnect:
    return lambda: None


def connect_floor(tracers: TracerProvider, meters: object) -> Disconnect:
    floor = Floor(tracers.get_tracer("floor"))
    floor.connect()
    return floor.disconnect


def connect_contrib(tracers: TracerProvider, meters: object) -> Disconnect:
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    CeleryInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters, skip_dep_check=True)
    return CeleryInstrumentor().uninstrument


def connect_ours(mode: str) -> Callable[[TracerProvider, object], Disconnect]:
    def connect(tracers: TracerProvider, meters: object) -> Disconnect:
        from celery_otel_links import CeleryLinksInstrumentor

        CeleryLinksInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters, config={"default": mode})
        return CeleryLinksInstrumentor().uninstrument

    return connect


class Opaque(trace.Tracer):
    """A tracer whose id generator nobody can reach: no span context can be reserved."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self.start_span = tracer.start_span
        self.start_as_current_span = tracer.start_as_current_span

    def start_span(self, *args, **kwargs): ...

    def start_as_current_span(self, *args, **kwargs): ...


class OpaqueProvider(TracerProvider):
    def get_tracer(self, *args, **kwargs):
        return Opaque(super().get_tracer(*args, **kwargs))


@dataclass
class Variant:
    name: str
    connect: Callable[[TracerProvider, object], Disconnect]
    sampled: bool = True
    metrics: bool = False
    reserves: bool = True
    publish: list[float] = field(default_factory=list)  # seconds per task, one entry per round
    receive: list[float] = field(default_factory=list)
    run: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)  # what the round left to be recorded after it

    def __post_init__(self) -> None:
        provider = TracerProvider if self.reserves else OpaqueProvider
        self.tracers = provider(sampler=ParentBased(ALWAYS_ON if self.sampled else ALWAYS_OFF))
        self.tracers.add_span_processor(SpanProcessor())
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader]) if self.metrics else NoOpMeterProvider()


def variants() -> list[Variant]:
    made = [Variant("none", connect_none)]
    for sampled, suffix in ((True, ""), (False, " unsampled")):
        made += [
            Variant(f"floor{suffix}", connect_floor, sampled),
            Variant(f"contrib{suffix}", connect_contrib, sampled),
            Variant(f"child{suffix}", connect_ours("child"), sampled),
            Variant(f"link{suffix}", connect_ours("link"), sampled),
        ]
    made.append(Variant("link unreserved", connect_ours("link"), reserves=False))
    return [*made, Variant("child metrics", connect_ours("child"), metrics=True)]
