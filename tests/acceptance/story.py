"""One test's story: a request that publishes, and the forest of all spans that hang together with it.

def test_a_task_continues_the_trace_of_its_publisher(story):
    story.run(story.shop.add.s(1, 2), '''
        request
          apply_async/shop.add
            run/shop.add
    ''')
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

from celery import Celery
from celery.canvas import Signature
from celery.result import AsyncResult, ResultBase
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from celery_otel_links import CeleryLinksInstrumentor
from tests.acceptance.shop import closed_shop
from tests.acceptance.stages import Stage
from tests.harness.awaited import said_in_forest, said_in_list, until_seen
from tests.harness.causality import Causality
from tests.harness.dangling import dangling
from tests.harness.forest import normalised, reason, render
from tests.harness.recording import JsonLinesSpanExporter, Span

ROOT = "request"
COMPLAINTS = ("Signal handler", "Failed to detach context", "Left attached")


class Forests(NamedTuple):
    """What is expected of a chord: its body is published by its last header task, or by `celery.chord_unlock`."""

    by_last_header_task: str
    by_unlock: str

    def on(self, app: Celery) -> str:
        """The one of this application's result backend."""
        kinds = {kind.__name__ for kind in type(app.backend).__mro__}
        counts = not kinds.isdisjoint({"RedisBackend", "CacheBackend"})  # and thereby knows the last header task
        return self.by_last_header_task if counts else self.by_unlock


class Story:
    """The publisher's side of a test, instrumented from `begin` to `end` with a provider of its own."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.app: Celery = stage.app
        self.shop = SimpleNamespace(
            **{name.removeprefix("shop."): task for name, task in self.app.tasks.items() if name.startswith("shop.")}
        )
        self.provider = TracerProvider(resource=Resource.create({"service.name": "publisher"}))
        self.provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(stage.spans.path)))
        self.tracer = self.provider.get_tracer("story")
        self._request: tuple[str, str] | None = None
        self._task_ids: list[str] = []
        self._logged = len(stage.worker.stderr)
        self._before = len(stage.spans.spans())

    def begin(self, config: Mapping[str, Any] | None = None) -> None:
        """Instrument the publisher; a story that has begun begins again, with another configuration."""
        self.end()
        self.app.set_current()
        CeleryLinksInstrumentor().instrument(tracer_provider=self.provider, config=dict(config or {}))

    def end(self) -> None:
        if CeleryLinksInstrumentor().is_instrumented_by_opentelemetry:
            CeleryLinksInstrumentor().uninstrument()

    def stranger(self) -> Celery:
        """An application without tasks, which publishes to this stage by name only; the current one from now on."""
        app = closed_shop(self.stage.broker.url, self.stage.broker.backend, self.stage.conf)
        app.set_current()
        return app

    @contextmanager
    def request(self) -> Iterator[None]:
        """The root span of the story, current in the block. A second one begins another story."""
        self._task_ids.clear()
        with self.tracer.start_as_current_span(ROOT) as span:
            context = span.get_span_context()
            self._request = f"{context.trace_id:032x}", f"{context.span_id:016x}"
            yield

    def run(self, publish: Signature | Callable[[], Any], expected: str | Forests, **options: Any) -> Any:
        """Publish in a request, wait until the forest is as expected, and check its relations. What was published."""
        with self.request():
            published = publish.apply_async() if isinstance(publish, Signature) else publish()
        self.follow(published)
        self.expect(expected, **options)
        return published

    def follow(self, published: Any) -> None:
        """The spans of these results' tasks belong to the story even if nothing connects them with it."""
        if isinstance(published, AsyncResult):
            self._task_ids.append(published.id)
        elif isinstance(published, ResultBase | list | tuple):
            for result in published:
                self.follow(result)

    def expect(
        self,
        expected: str | Forests,
        *,
        show: Collection[str] = (),
        collapse: int = 0,
        allow: Iterable[str] = (),
        timeout: float = 15.0,
    ) -> None:
        """Wait until the forest is this and stays so; then no relation may dangle, and no complaint be logged."""
        wanted = normalised(expected.on(self.app) if isinstance(expected, Forests) else expected)

        def seen() -> str:
            return render(self.spans(), show=show, collapse=collapse)

        self._until_seen(wanted, seen, said_in_forest, timeout)
        assert dangling(self.spans(), allow=allow) == []

    def expect_reasons(self, expected: str, *, timeout: float = 15.0) -> None:
        """Wait until the runs were decided so, e.g. `add: link by fan-out x 2, sums: child by default`."""

        def seen() -> str:
            runs = [span for span in self.spans() if span.kind == "CONSUMER"]
            said = Counter(f"{span.name.split('/')[1].removeprefix('shop.')}: {reason(span)}" for span in runs)
            return ", ".join(sorted(one if count == 1 else f"{one} x {count}" for one, count in said.items()))

        self._until_seen(", ".join(sorted(expected.split(", "))), seen, said_in_list, timeout)

    def _until_seen(
        self, wanted: str, seen: Callable[[], str], final: Callable[[str], Counter[str]], timeout: float
    ) -> None:
        __tracebackhide__ = True

        def difference() -> str:
            lines = difflib.unified_diff(
                wanted.splitlines(), seen().splitlines(), "expected", "seen", lineterm="", n=99
            )
            return "\n" + "\n".join(lines) + "\n\nthe worker's log:\n" + self.log()[-4000:] + "\n"

        def seen_of_a_living_worker() -> str:
            assert self.stage.worker.alive, f"the worker has ended: {difference()}"
            return seen()

        until_seen(wanted, seen_of_a_living_worker, final=final, what=difference, timeout=timeout)
        assert [line for line in self.log().splitlines() if any(text in line for text in COMPLAINTS)] == []

    def spans(self, name: str = "") -> list[Span]:
        """The story's spans so far (those of this name) in the order of their start."""
        world = Causality(self.stage.spans.spans()[self._before :])
        start = world.by_key.get(self._request) if self._request else None
        found = world.story(start, self._task_ids)
        return sorted((span for span in found if name in ("", span.name)), key=lambda span: span.start)

    def span(self, name: str) -> Span:
        """The story's only span of this name."""
        (only,) = self.spans(name)
        return only

    def log(self) -> str:
        """What the worker has logged since the story began."""
        return self.stage.worker.stderr[self._logged :]
