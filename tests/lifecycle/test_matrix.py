"""Every end of an attempt, in every pool that knows it, on two brokers: exactly the run spans of the table.

On Valkey the messages are linked, on RabbitMQ continued.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from celery_otel_links import CeleryLinksInstrumentor
from tests.harness.recording import JsonLinesSpanExporter, Span, collected
from tests.lifecycle.play import Play
from tests.lifecycle.table import ALL, TABLE, ends_of

pytestmark = pytest.mark.clock

MODES = {"valkey": "link", "rabbitmq": "child"}
NOBODY_SENT = ("malformed, undecodable", "malformed, arguments undecodable")


class Seen(NamedTuple):
    """What was left of a performance."""

    ids: dict[str, list[str]]
    runs: tuple[Span, ...]
    published: tuple[Span, ...]
    complaints: list[str]
    said: str
    """All that its workers logged."""


@pytest.fixture(scope="module")
def seen(open_site: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Seen]:
    """What is seen of all ends in a pool, played once; and once more for each time that its tests are run again."""

    performances: dict[tuple[str, str, int], Seen | Exception] = {}

    def performed(pool: str, broker: str, test: pytest.FixtureRequest) -> Seen:
        key = pool, broker, getattr(test.node, "execution_count", 1)
        if key not in performances:
            try:
                performances[key] = performance(pool, broker)
            except Exception as error:  # played once all the same
                performances[key] = error
        left = performances[key]
        if isinstance(left, Exception):
            raise left
        return left

    def performance(pool: str, broker: str) -> Seen:
        directory = tmp_path_factory.mktemp("play")
        published = directory / "published.jsonl"
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(published)))
        CeleryLinksInstrumentor().instrument(tracer_provider=provider, config={"default": MODES[broker]})
        try:
            return _perform(open_site, pool, broker, directory, published)
        finally:
            CeleryLinksInstrumentor().uninstrument()

    return performed


def _perform(open_site: Callable[..., Any], pool: str, broker: str, directory: Path, published: Path) -> Seen:
    complaints: list[str] = []
    said = ""
    recycling = ("--max-tasks-per-child", "1") if pool == "prefork" else ()
    with open_site(pool, broker, directory=directory) as site:
        first = Play(site.app, pool, site.worker, site.host, site.queue, directory)
        first.silent()
        first.ends()
        first.stop("warm stop", signal.SIGTERM, 0.4)
        complaints += site.complaints()
        said += site.worker.stderr
    with open_site(pool, broker, directory=directory, args=recycling) as site:
        second = Play(site.app, pool, site.worker, site.host, site.queue, directory)
        second.recycle()
        (cold,) = (end for end in ends_of(pool) if end.startswith("cold stop"))
        second.stop(cold, signal.SIGQUIT, 1.0 if "SUCCESS" in TABLE[cold].runs else 10.0)
        complaints += site.complaints()
        said += site.worker.stderr
        runs = tuple(span for span in site.spans() if span.kind == "CONSUMER")
    return Seen({**first.ids, **second.ids}, runs, collected(published), complaints, said)


@pytest.mark.parametrize("broker", MODES)
@pytest.mark.parametrize(("pool", "end"), [(pool, end) for pool in ALL for end in ends_of(pool)])
def test_an_attempt_has_its_one_span_however_it_ends(seen, pool, end, broker, request):
    left = seen(pool, broker, request)
    runs = sorted((run for run in left.runs if run.message_id in left.ids[end]), key=lambda run: run.start)
    assert tuple(described(run) for run in runs) in (TABLE[end].runs, TABLE[end].or_else or None), left.said
    assert min([(run.end - run.start) / 1e9 for run in runs], default=0.0) >= TABLE[end].lasts
    if end not in NOBODY_SENT:
        for identifier in left.ids[end]:
            in_the_right_trace(
                [run for run in runs if run.message_id == identifier],
                [span for span in left.published if span.message_id == identifier],
                MODES[broker],
            )


@pytest.mark.parametrize("broker", MODES)
@pytest.mark.parametrize("pool", ALL)
def test_a_worker_has_nothing_to_say_about_it(seen, pool, broker, request):
    assert seen(pool, broker, request).complaints == []


def described(run: Span) -> str:
    """As the table says it."""
    told = [run.attributes.get("celery.state"), run.status if run.status != "UNSET" else None]
    told += [run.attributes.get("error.type"), "0 s" if run.start == run.end else None]
    return " ".join(str(part) for part in told if part)


def in_the_right_trace(runs: list[Span], published: list[Span], mode: str) -> None:
    """The first run is the one that was reserved, or the child of its publishing; the next ones know it."""
    first, publish = runs[0], published[0]
    if mode == "child":
        assert [(run.trace, run.parent) for run in runs] == [publish.key] * len(runs)
        return
    # What the publisher does not know may ask for another mode where it runs: then nothing is reserved.
    forward = [] if publish.attributes["celery.task_name"] == "end.unknown" else [first.key]
    assert [link.target for link in publish.links if link.kind == "consumer"] == forward
    assert first.parent is None
    for run in runs:
        kind = "producer" if run.attempt == 0 else "previous-attempt"
        target = publish.key if run.attempt == 0 else first.key
        assert [link.target for link in run.links if link.kind == kind] == [target]
