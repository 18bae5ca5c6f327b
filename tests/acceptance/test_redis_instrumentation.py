"""With an instrumented Redis client, our traffic makes no spans, and the page's sampler leaves out the broker's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from celery import chord

from tests.harness.needs import needs
from tests.harness.waiting import until

APP = "tests.acceptance.redis_app:app"


@pytest.fixture
def spans_of_a_chord(story_of):
    """All spans, whosever, that a worker with these settings makes while it runs a chord of twenty."""
    needs(find_spec("opentelemetry.instrumentation.redis"), "opentelemetry-instrumentation-redis")

    def run(**options):
        story = story_of(app=APP, **options)
        before = len(story.stage.spans.spans())
        with story.request():
            add, sums = story.shop.add, story.shop.sums
            story.follow(chord([add.s(number, 1) for number in range(20)], sums.s()).apply_async())

        def ended():
            return story.spans("run/shop.sums") and len(story.spans("run/shop.add")) == 20

        until(ended, what="all runs")
        assert sum(link.kind == "header" for link in story.span("run/shop.sums").links) == 20
        worker = story.stage.worker
        pids = {worker.pid, *(child.pid for child in worker.children())}
        return [span for span in story.stage.spans.spans()[before:] if span.pid in pids]

    return run


def suppressible():
    """Whether this release of the instrumentation looks at what is suppressed."""
    found = find_spec("opentelemetry.instrumentation.redis")
    return found is not None and "suppress" in Path(str(found.origin)).read_text()


@pytest.mark.skipif(not suppressible(), reason="this release of the Redis instrumentation can't be suppressed")
def test_our_own_traffic_to_the_store_makes_no_spans(spans_of_a_chord):
    names = {span.name for span in spans_of_a_chord() if "redis" in span.scope}
    assert names  # there are Celery's
    assert [name for name in names if name.startswith("HSET") or "HVALS" in name] == []


def test_with_the_sampler_of_the_page_nothing_is_left_but_what_tasks_do(spans_of_a_chord):
    spans = spans_of_a_chord(env={"OTEL_LINKS_TEST_QUIET": "1"})
    runs = {span.key for span in spans if span.kind == "CONSUMER"}
    of_redis = [span for span in spans if "redis" in span.scope]
    assert of_redis  # the results of the tasks
    assert [span.name for span in of_redis if (span.trace, span.parent) not in runs] == []
