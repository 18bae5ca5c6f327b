"""While a fleet goes over from contrib to ours, or back: what one sees, as the page has it in a table.

In an expected forest, a link that leads nowhere is `link consumer -> ?`: contrib's worker starts no run span under the
identity that our producer has reserved.
"""

from __future__ import annotations

import uuid

import pytest
from celery import chain, chord, group
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from celery_otel_links import CeleryLinksInstrumentor
from tests.acceptance.shop import open_shop
from tests.harness.forest import normalised, render
from tests.harness.recording import JsonLinesSpanExporter, SpanFile
from tests.harness.waiting import until
from tests.harness.workers import Settings, worker

NOTHING = "link consumer to nothing"


@pytest.fixture
def contribs_worker(story_of):
    """Our producer, and a worker that is instrumented by contrib."""
    return story_of(instrumentation="contrib")


@pytest.fixture
def contribs_producer(story):
    """A producer that is instrumented by contrib, and our worker."""
    story.end()
    CeleryInstrumentor().instrument(tracer_provider=story.provider)
    yield story
    CeleryInstrumentor().uninstrument()


def canvas(story, name):
    shop = story.shop
    return {
        "child": shop.plain.s(),
        "link": shop.plain.s().set(headers={"otel-propagation": "link"}),
        "none": shop.plain.s().set(headers={"otel-propagation": "none"}),
        "retry": shop.flaky.s(1),
        "chain": chain(shop.add.s(1, 1), shop.add.s(2)),
        "group": group(shop.add.s(1, 1), shop.add.s(2, 2)),
        "chord": chord([shop.add.s(1, 1), shop.add.s(2, 2)], shop.sums.s()),
    }[name]


OURS_TO_CONTRIB = {
    "child": """
        request
          apply_async/shop.plain
            run/shop.plain
    """,
    "link": """
        request
          apply_async/shop.plain  link consumer -> ?
            run/shop.plain
    """,
    "none": """
        request
          apply_async/shop.plain
            run/shop.plain
    """,
    "retry": """
        request
          apply_async/shop.flaky
            run/shop.flaky  RETRY
              apply_async/shop.flaky
                run/shop.flaky  retry 1
    """,
    "chain": """
        request
          apply_async/shop.add
            run/shop.add
              apply_async/shop.add
                run/shop.add
    """,
    "group": """
        request
          apply_async/shop.add  link consumer -> ?
            run/shop.add
          apply_async/shop.add  link consumer -> ?
            run/shop.add
    """,
    "chord": """
        request
          apply_async/shop.add  link consumer -> ?
            run/shop.add
          apply_async/shop.add  link consumer -> ?
            run/shop.add
              apply_async/shop.sums
                run/shop.sums
    """,
}
CONTRIB_TO_OURS = {
    "child": """
        request
          apply_async/shop.plain
            run/shop.plain
    """,
    "link": """
        request
          apply_async/shop.plain
        run/shop.plain            link producer -> apply_async/shop.plain
    """,
    "none": """
        request
          apply_async/shop.plain
        run/shop.plain
    """,
    "retry": """
        request
          apply_async/shop.flaky
            run/shop.flaky#1  RETRY
              apply_async/shop.flaky
            run/shop.flaky#2  retry 1  link previous-attempt -> run/shop.flaky#1
    """,
    "chain": """
        request
          apply_async/shop.add
            run/shop.add
              apply_async/shop.add
                run/shop.add
    """,
    "group": """
        request
          apply_async/shop.add#1
          apply_async/shop.add#2
        run/shop.add              link producer -> apply_async/shop.add#1
        run/shop.add              link producer -> apply_async/shop.add#2
    """,
}


@pytest.mark.parametrize("name", OURS_TO_CONTRIB)
def test_our_producers_and_contribs_workers(contribs_worker, name):
    """The worker makes a child of everything, as it does without us."""
    expected = OURS_TO_CONTRIB[name]
    publishers = {line.split()[0] for line in expected.splitlines() if "-> ?" in line}
    allow = [f"{publisher}: {NOTHING}" for publisher in publishers]
    contribs_worker.run(canvas(contribs_worker, name), expected, allow=allow)
    runs = [span for span in contribs_worker.spans() if span.kind == "CONSUMER"]
    assert not any(key.startswith("celery.latency.") for run in runs for key in run.attributes)


@pytest.mark.parametrize("name", CONTRIB_TO_OURS)
def test_contribs_producers_and_our_workers(contribs_producer, name):
    """The worker decides alone; how long the message lay in the broker is not known."""
    contribs_producer.run(canvas(contribs_producer, name), CONTRIB_TO_OURS[name])
    first = next(span for span in contribs_producer.spans() if span.kind == "CONSUMER")
    assert "celery.latency.prefetch" in first.attributes
    assert "celery.latency.queue" not in first.attributes


def test_the_body_of_a_chord_that_contrib_publishes_links_to_all_headers_and_starts_a_trace(contribs_producer):
    story = contribs_producer
    with story.request():
        story.follow(canvas(story, "chord").apply_async())
    body = until(lambda: story.spans("run/shop.sums"), what="the body")[0]
    # The span of the last header may end after the body has begun.
    headers = until(lambda: len(story.spans("run/shop.add")) == 2 and story.spans("run/shop.add"), what="both headers")
    assert {link.target for link in body.links if link.kind == "header"} == {span.key for span in headers}
    assert body.parent is None


ONE_TRACE = """
    request
      apply_async/shop.flaky
        run/shop.flaky          RETRY
          apply_async/shop.flaky
            run/shop.flaky      retry 1
"""
SECOND_ATTEMPTS = [  # the worker of the first attempt, of the second, how the call is propagated, the forest
    ("contrib", "ours", "child", ONE_TRACE),
    ("ours", "contrib", "child", ONE_TRACE),
    (
        "contrib",
        "ours",
        "link",
        """
    request
      apply_async/shop.flaky#1  link consumer -> ?
        run/shop.flaky          RETRY
          apply_async/shop.flaky#2
    run/shop.flaky              retry 1  link producer -> apply_async/shop.flaky#2
    """,
    ),
    (
        "ours",
        "contrib",
        "link",
        """
    request
      apply_async/shop.flaky#1    link consumer -> run/shop.flaky#1
    run/shop.flaky#1              RETRY  link producer -> apply_async/shop.flaky#1
      apply_async/shop.flaky#2    link consumer -> ?
        run/shop.flaky#2          retry 1
    """,
    ),
]


@pytest.mark.parametrize(("first", "second", "mode", "expected"), SECOND_ATTEMPTS)
def test_a_retry_that_another_kind_of_worker_runs(valkey_url, tmp_path, first, second, mode, expected):
    queue = f"upgrade-{uuid.uuid4().hex[:8]}"
    conf = {"task_default_queue": queue}
    spans = SpanFile(tmp_path / "spans")
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(spans.path)))
    shop = open_shop(valkey_url, valkey_url, conf)
    shop.set_current()
    CeleryLinksInstrumentor().instrument(tracer_provider=provider)
    with provider.get_tracer("story").start_as_current_span("request"):
        shop.tasks["shop.flaky"].apply_async((1, 2), headers={"otel-propagation": mode})
    CeleryLinksInstrumentor().uninstrument()

    def running(instrumentation):
        settings = Settings(valkey_url, valkey_url, str(spans.path), conf=conf, instrumentation=instrumentation)
        return worker(settings, pool="solo", queues=[queue])

    with running(first) as one:
        until(lambda: one.stderr.count("] received") == 2, what="the retry, which waits for its ETA")
        one.stop()
    with running(second) as other:
        until(lambda: "] succeeded in " in other.stderr, what="the second attempt")
        other.stop()
    shop.close()
    assert render(spans.spans()) == normalised(expected)
