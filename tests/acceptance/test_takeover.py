"""opentelemetry-instrumentation-celery is off while ours is on, whichever was first: one span for one thing."""

from __future__ import annotations

import pytest
from opentelemetry.instrumentation.celery import CeleryInstrumentor

ONE_SPAN_EACH = "request\n  apply_async/shop.plain\n    run/shop.plain"
SAID = "opentelemetry-instrumentation-celery is switched off"


def scopes(story):
    return {span.scope for span in story.spans() if span.name != "request"}


def said(caplog):
    return len([record for record in caplog.records if SAID in record.message])


def test_contrib_is_switched_off_when_it_was_first(fresh, caplog):
    CeleryInstrumentor().instrument(tracer_provider=fresh.provider)
    fresh.begin()
    fresh.run(fresh.shop.plain.s(), ONE_SPAN_EACH)
    assert scopes(fresh) == {"celery_otel_links"}
    assert said(caplog) == 1


def test_contrib_is_kept_off_when_it_comes_later(fresh, caplog):
    fresh.begin()
    CeleryInstrumentor().instrument(tracer_provider=fresh.provider)
    fresh.run(fresh.shop.plain.s(), ONE_SPAN_EACH)
    assert scopes(fresh) == {"celery_otel_links"}
    assert said(caplog) == 1


def test_without_contrib_nothing_is_said(fresh, caplog):
    fresh.begin()
    fresh.run(fresh.shop.plain.s(), ONE_SPAN_EACH)
    assert said(caplog) == 0


@pytest.mark.parametrize("first", ["contrib", "ours"])
def test_uninstrumenting_ours_switches_contrib_on_again(fresh, first):
    if first == "contrib":
        CeleryInstrumentor().instrument(tracer_provider=fresh.provider)
    fresh.begin()
    if first == "ours":
        CeleryInstrumentor().instrument(tracer_provider=fresh.provider)
    fresh.end()
    fresh.run(fresh.shop.plain.s(), ONE_SPAN_EACH)
    assert fresh.span("apply_async/shop.plain").scope == "opentelemetry.instrumentation.celery"


def test_uninstrumenting_leaves_no_trace_of_us(fresh):
    fresh.begin()
    fresh.end()
    fresh.run(fresh.shop.plain.s(), "request\nrun/shop.plain")
    fresh.begin()
    fresh.run(fresh.shop.plain.s(), ONE_SPAN_EACH)


@pytest.mark.parametrize("order", ["contrib-then-ours", "ours-then-contrib"])
def test_a_worker_with_both_makes_one_span_each(story_of, order):
    story = story_of(instrumentation=order)
    story.run(
        story.shop.publish.s(story.shop.linked.s()),
        """
        request
          apply_async/shop.publish
            run/shop.publish
              apply_async/shop.linked  link consumer -> run/shop.linked
        run/shop.linked                link producer -> apply_async/shop.linked
    """,
    )
    assert scopes(story) == {"celery_otel_links"}
    assert story.stage.worker.stderr.count(SAID) == 1
