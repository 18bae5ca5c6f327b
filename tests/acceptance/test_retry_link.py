"""Attempts of a linked task share one trace, below the run of the first; all of them have the origin of the story."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.stages("prefork-valkey", "prefork-files")


@pytest.mark.parametrize("countdown", [0, 0.2])
def test_attempts_share_the_trace_of_the_first(story, countdown):
    story.run(
        story.shop.flaky.s(2, countdown=countdown).set(headers={"otel-propagation": "link"}),
        """
        request
          apply_async/shop.flaky#1    link consumer -> run/shop.flaky#1
        run/shop.flaky#1              RETRY    link producer -> apply_async/shop.flaky#1
          apply_async/shop.flaky#2    link consumer -> run/shop.flaky#2
          run/shop.flaky#2            retry 1  RETRY  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#1
            apply_async/shop.flaky#3  link consumer -> run/shop.flaky#3
          run/shop.flaky#3            retry 2  link origin -> apply_async/shop.flaky#1  \
link previous-attempt -> run/shop.flaky#2
        """,
    )
