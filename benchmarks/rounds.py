"""One round of one variant: tasks that are published, received, run and encoded in this process, and what it took."""

import cProfile
import gc
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import process_time, thread_time

from celery import Celery, signals
from celery.app.trace import build_tracer
from celery.concurrency.prefork import TaskPool
from celery.worker.request import Request
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from variants import Variant

BATCH = 512
"""The most spans that a BatchSpanProcessor exports at once, unless it is told otherwise."""
WARM_UP = 10
"""Tasks of each round that are not measured: what is worked out once per task and queue is no cost of a message."""
WORKER = "worker@bench"
REST = 1.2
"""Seconds; a recording thread begins within one. What it has not done after that, a collection does."""


@dataclass(frozen=True)
class Round:
    """Microseconds of processor time per task."""

    publish: float
    receive: float
    run: float
    encoding: float

    @property
    def path(self) -> float:
        return self.publish + self.receive + self.run


class Kept(SpanProcessor):
    """Keeps what ends until it is taken, as a BatchSpanProcessor does."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)

    def taken(self) -> list[ReadableSpan]:
        spans, self.spans = self.spans, []
        return spans


class Watching(SpanProcessor):
    """One that does nothing, and is asked when a span starts."""

    def on_start(self, span: Span, parent_context: context.Context | None = None) -> None:
        pass


class Providers:
    """The SDK of one variant, with its defaults but for the exporters, which are ours."""

    def __init__(self, variant: Variant) -> None:
        self.tracers = TracerProvider(sampler=ParentBased(ALWAYS_ON if variant.sampled else ALWAYS_OFF))
        self.kept = Kept()
        self.tracers.add_span_processor(self.kept)
        if variant.watched:
            self.tracers.add_span_processor(Watching())
        self.reader = InMemoryMetricReader()
        measured = MeterProvider([self.reader])
        self.meters = measured if variant.metrics else NoOpMeterProvider()


class Consumer:
    """What sends `task_received` in a prefork worker."""

    hostname = WORKER

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.pool = TaskPool(1, app=app)


class Bench:
    """The app whose one task does nothing, and the providers of all variants. Use it as a context manager."""

    def __init__(self, variants: Iterable[Variant]) -> None:
        self.app = Celery("bill", broker="memory://", set_as_current=True)
        self.app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True)
        self.noop = self.app.task(name="shop.noop")(_noop)
        self.app.finalize()
        self._providers = {variant: Providers(variant) for variant in variants}
        self._consumer = Consumer(self.app)

    def __enter__(self) -> "Bench":
        self._connection = self.app.connection_for_read()
        self._channel = self._connection.default_channel
        self.noop.apply_async((1, 2))  # declares the queue
        self._requests(1)
        gc.freeze()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def one_round(self, variant: Variant, tasks: int, profile: cProfile.Profile | None = None) -> Round:
        """Publishes, receives and runs so many tasks, and encodes their spans."""
        with self._connected(variant) as providers:
            return self._steps(providers, tasks, profile)

    def recorded_elsewhere(self, variant: Variant, tasks: int, idle: float) -> float:
        """Microseconds per task that metrics take in other threads, and in a collection.

        `idle` is what other threads take in any case: `idle_share()`.
        """
        with self._connected(variant) as providers:
            started, before = time.monotonic(), _other_threads()
            self._steps(providers, tasks, None)
            time.sleep(REST)
            elsewhere = _other_threads() - before - idle * (time.monotonic() - started)
            first, second = (_timed(providers.reader.get_metrics_data, [()], None) for _ in range(2))
            return (1e6 * elsewhere + first - second) / tasks

    def idle_share(self) -> float:
        """The share of their time that other threads take where nobody measures anything."""
        started, before = time.monotonic(), _other_threads()
        time.sleep(2 * REST)
        return (_other_threads() - before) / (time.monotonic() - started)

    @contextmanager
    def _connected(self, variant: Variant) -> Iterator[Providers]:
        """Instrumented, warmed up, without garbage collection."""
        providers = self._providers[variant]
        disconnect = variant.connect(providers.tracers, providers.meters)
        try:
            self._steps(providers, WARM_UP, None)
            providers.reader.get_metrics_data()
            gc.collect()
            gc.disable()
            yield providers
        finally:
            gc.enable()
            disconnect()
            providers.reader.get_metrics_data()

    def _steps(self, providers: Providers, tasks: int, profile: cProfile.Profile | None) -> Round:
        tracer = providers.tracers.get_tracer("request")
        # A request of its own for each publish: hundreds from one span would be a loop, which is another mode.
        parents = [(trace.set_span_in_context(tracer.start_span("request")),) for _ in range(tasks)]
        publish = _timed(self._publish, parents, profile)
        produced = providers.kept.taken()

        messages = self._requests(tasks)
        receive = _timed(self._receive, [(request,) for request, _ in messages], profile)

        runs = []
        for request, (args, kwargs, embed) in messages:
            ready = {**request.request_dict, **embed, "args": args, "kwargs": kwargs, "is_eager": False}
            runs.append((request.id, args, kwargs, ready))
        # Made anew each round: older Celerys look for receivers only here.
        run = _timed(build_tracer(self.noop.name, self.noop, app=self.app, hostname=WORKER), runs, profile)

        batches = [(batch,) for spans in (produced, providers.kept.taken()) for batch in _batches(spans)]
        encoding = _timed(_encode, batches, profile) * len(batches) / tasks
        return Round(publish=publish, receive=receive, run=run, encoding=encoding)

    def _publish(self, parent: context.Context) -> None:
        token = context.attach(parent)
        self.noop.apply_async((1, 2))
        context.detach(token)

    def _receive(self, request: Request) -> None:
        signals.task_received.send(sender=self._consumer, request=request)

    def _requests(self, count: int) -> list[tuple[Request, tuple]]:
        """The published messages, as the worker makes requests of them."""
        made = []
        for _ in range(count):
            message = self._channel.basic_get("celery", no_ack=True)
            made.append((Request(message, app=self.app, hostname=WORKER, task=self.noop), message.payload))
        return made


def _noop(x, y):
    return x


def _encode(spans: list[ReadableSpan]) -> None:
    encode_spans(spans).SerializeToString()


def _batches(spans: list[ReadableSpan]) -> Iterator[list[ReadableSpan]]:
    return (spans[start : start + BATCH] for start in range(0, len(spans), BATCH))


def _timed(step: Callable[..., object], of: list[tuple], profile: cProfile.Profile | None) -> float:
    """The mean microseconds of this thread that the step takes."""
    if not of:
        return 0.0
    if profile:
        profile.enable()
    start = thread_time()
    for arguments in of:
        step(*arguments)
    taken = thread_time() - start
    if profile:
        profile.disable()
    return 1e6 * taken / len(of)


def _other_threads() -> float:
    """Seconds of processor time."""
    return process_time() - thread_time()
