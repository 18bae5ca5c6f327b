"""However many headers a chord has, its body links to their runs: to 128 at most, and counts the rest."""

from __future__ import annotations

import pytest
from celery import chord

from tests.harness.waiting import until


def headers(story, count):
    return [story.shop.add.s(number, number) for number in range(count)]


def test_forty_headers(story):
    story.run(
        chord(headers(story, 40), story.shop.sums.s()),
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
def test_of_three_hundred_headers_128_are_linked_and_the_others_counted(story):
    with story.request():
        story.follow(chord(headers(story, 300), story.shop.sums.s()).apply_async())
    until(lambda: story.spans("run/shop.sums"), what="the body", timeout=60)
    body, runs = story.span("run/shop.sums"), {span.key for span in story.spans("run/shop.add")}
    targets = [link.target for link in body.links if link.kind == "header"]
    assert len(runs) == 300
    assert len(body.links) == len(set(targets)) == 128
    assert set(targets) <= runs
    assert body.attributes["celery.links.dropped"] == 172
