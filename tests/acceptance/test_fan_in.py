"""However many header tasks a chord has, its body links to their runs: to 128 at most, and counts the rest."""

from __future__ import annotations

import pytest
from celery import chord

from tests.harness.waiting import until


def header_tasks(story, count):
    return [story.shop.add.s(number, number) for number in range(count)]


def test_forty_header_tasks(story):
    story.run(
        chord(header_tasks(story, 40), story.shop.sums.s()),
        """
        request
          apply_async/shop.add  link consumer -> run/shop.add  x 40
          run/shop.sums         link header -> run/shop.add x 40
        run/shop.add            link producer -> apply_async/shop.add  x 39
        run/shop.add            link producer -> apply_async/shop.add
          apply_async/shop.sums
        """,
        collapse=2,
    )


@pytest.mark.slow
def test_of_three_hundred_header_tasks_128_are_linked_and_the_others_counted(story):
    body, runs = run_of_body(story, 300)
    targets = [link.target for link in body.links if link.kind == "header"]
    assert len(runs) == 300
    assert len(body.links) == len(set(targets)) == 128
    assert set(targets) <= runs
    assert body.attributes["celery.links.dropped"] == 172


@pytest.mark.stages("gevent-valkey", "threads-valkey", "eventlet-valkey")
def test_all_links_are_kept_where_a_hundred_header_tasks_store_at_once_in_a_store_that_is_slow(story_of, stages):
    # One after the other they would need twelve seconds, and each waits for one at most.
    story = story_of(
        backend=stages.far_results(0.1),
        concurrency=100,
        env={"OTEL_LINKS_TEST_TIMEOUT": "1"},
    )
    body, runs = run_of_body(story, 120)
    assert {link.target for link in body.links if link.kind == "header"} == runs
    assert len(runs) == 120


def run_of_body(story, count):
    """The run of the body of a chord with so many header tasks, and the identities of theirs."""
    with story.request():
        story.follow(chord(header_tasks(story, count), story.shop.sums.s()).apply_async())

    def ended():
        return story.spans("run/shop.sums") and len(story.spans("run/shop.add")) == count

    until(ended, what=lambda: f"the body and all header tasks\n{story.log()[-2000:]}", timeout=60)
    return story.span("run/shop.sums"), {span.key for span in story.spans("run/shop.add")}
