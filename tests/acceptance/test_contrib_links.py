"""`use_span_links=True` of contrib is taken over as `default: link`, whichever is first, and said once."""

from __future__ import annotations

import pytest
from opentelemetry.instrumentation.celery import CeleryInstrumentor

from celery_otel_links._contrib import LINKS, OFF
from tests.acceptance.test_auto_instrumentation import COMMAND, environment
from tests.harness.collector import collector
from tests.harness.contrib import needs_use_span_links

pytestmark = needs_use_span_links
CHILD = "request\n  apply_async/shop.plain\n    run/shop.plain"
LINKED = """
    request
      apply_async/shop.plain  link consumer -> run/shop.plain
    run/shop.plain            link producer -> apply_async/shop.plain
"""
ORDERS = ["contrib, ours", "ours, contrib", "ours, contrib without options, contrib"]


def in_order(story, order, config=None):
    for one in order.split(", "):
        if one == "ours":
            story.begin(config)
        elif one == "contrib":
            CeleryInstrumentor().instrument(tracer_provider=story.provider, use_span_links=True)
        else:  # as the zero-code command loads it, before the application says what it wants
            CeleryInstrumentor().instrument(skip_dep_check=True)


@pytest.mark.parametrize("order", ORDERS)
def test_contribs_links_are_our_default(fresh, caplog, order):
    in_order(fresh, order)
    fresh.run(fresh.shop.plain.s(), LINKED)
    assert fresh.span("run/shop.plain").attributes["celery.propagation.reason"] == "default"
    assert len([record for record in caplog.records if LINKS in record.message]) == 1


@pytest.mark.parametrize("order", ORDERS)
def test_an_application_that_says_what_the_default_is_is_obeyed(fresh, order):
    in_order(fresh, order, {"default": "child"})
    fresh.run(fresh.shop.plain.s(), CHILD)


def test_contrib_counts_for_tasks_that_have_been_published_before(fresh):
    fresh.begin()
    fresh.run(fresh.shop.plain.s(), CHILD)
    CeleryInstrumentor().instrument(use_span_links=True)
    fresh.run(fresh.shop.plain.s(), LINKED)


def test_without_its_option_contrib_changes_nothing(fresh, caplog):
    fresh.begin()
    CeleryInstrumentor().instrument(tracer_provider=fresh.provider)
    fresh.run(fresh.shop.plain.s(), CHILD)
    assert [record.message for record in caplog.records if OFF in record.message] == [OFF]


def test_contribs_options_are_kept_for_when_ours_is_gone(fresh):
    fresh.begin()
    CeleryInstrumentor().instrument(tracer_provider=fresh.provider, use_span_links=True)
    fresh.end()
    assert CeleryInstrumentor()._use_span_links is True


LINKING_WORKER = """
    request
      apply_async/shop.publish
        run/shop.publish
          apply_async/shop.plain  link consumer -> run/shop.plain
    run/shop.plain                link producer -> apply_async/shop.plain
"""


@pytest.mark.parametrize("where", ["at once", "in the pool"])
def test_a_worker_that_asks_contrib_to_link_links(story_of, where):
    env = {"OTEL_LINKS_TEST_CONTRIB": where}
    story = story_of(app="tests.acceptance.contrib_links_app:app", env=env, concurrency=1)
    story.run(story.shop.publish.s(story.shop.plain.s()), LINKING_WORKER)
    assert story.stage.worker.stderr.count(LINKS) == 1


def test_so_it_does_under_the_zero_code_command_which_has_loaded_contrib_already(story_of, stages):
    with collector(stages.spans.path) as endpoint:
        env = environment(endpoint)
        story = story_of(app="tests.acceptance.contrib_asked_app:app", command=COMMAND, env=env, concurrency=1)
        story.run(story.shop.publish.s(story.shop.plain.s()), LINKING_WORKER)
        assert story.stage.worker.stderr.count(LINKS) == 1
        story.stage.worker.stop()
