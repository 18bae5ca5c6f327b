"""`OTEL_SEMCONV_STABILITY_OPT_IN=messaging`: the conventions' names and attributes alone, and links beside parents."""

from __future__ import annotations

import pytest

STYLES = {"messaging": False, "messaging/dup": True}
# What only opentelemetry-instrumentation-celery calls so.
OLDER = {"celery.action", "messaging.destination", "messaging.conversation_id", "celery.reply_to"}


@pytest.fixture(params=STYLES)
def style(request):
    return request.param


@pytest.fixture
def story(story_of, style, monkeypatch):
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", style)
    return story_of(env={"OTEL_SEMCONV_STABILITY_OPT_IN": style})


def older(story):
    return {name for span in story.spans() for name in span.attributes if name in OLDER}


def test_a_continued_run_links_to_its_producer_beside_its_parent(story, style):
    queue = story.stage.queue
    story.run(
        story.shop.plain.s(),
        f"""
        request
          send {queue}
            process {queue}  link producer -> send {queue}
        """,
    )
    assert bool(older(story)) is STYLES[style]
    run = story.span(f"process {queue}")
    assert run.attributes["messaging.operation.type"] == "process"
    assert run.attributes["messaging.destination.name"] == queue
    assert run.attributes["celery.propagation.mode"] == "child"


def test_a_linked_run_links_to_its_producer_once(story):
    queue = story.stage.queue
    story.run(
        story.shop.linked.s(),
        f"""
        process {queue}    link producer -> send {queue}
        request
          send {queue}     link consumer -> process {queue}
        """,
    )


def test_a_retry_links_to_its_own_publishing_and_to_the_attempt_before(story):
    queue = story.stage.queue
    story.run(
        story.shop.flaky.s(1),
        f"""
        request
          send {queue}#1
            process {queue}#1  RETRY    link producer -> send {queue}#1
              send {queue}#2
            process {queue}#2  retry 1  link producer -> send {queue}#2  link previous-attempt -> process {queue}#1
        """,
    )
