"""What is to start much later is linked, so that no trace stays open for hours."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from tests.acceptance.stages import EVERYWHERE

pytestmark = [pytest.mark.clock, pytest.mark.stages(*EVERYWHERE)]

LINKED = """
    request
      apply_async/shop.plain  link consumer -> run/shop.plain
    run/shop.plain            link by delay  link producer -> apply_async/shop.plain
"""
CONTINUED = """
    request
      apply_async/shop.plain
        run/shop.plain        child by default
"""


def test_a_countdown_beyond_the_threshold_is_linked(story):
    story.begin({"delay_threshold": 0.1})
    story.run(lambda: story.shop.plain.apply_async(countdown=1.5), LINKED, show=["reason"])


def test_a_countdown_within_the_threshold_is_continued(story):
    story.run(lambda: story.shop.plain.apply_async(countdown=0.2), CONTINUED, show=["reason"])


def test_an_eta_beyond_the_threshold_is_linked(story):
    story.begin({"delay_threshold": 0.1})
    eta = datetime.now(timezone.utc) + timedelta(seconds=1.5)
    story.run(lambda: story.shop.plain.apply_async(eta=eta), LINKED, show=["reason"])


def test_an_eta_in_another_time_zone_is_the_same_moment(story):
    soon = datetime.now(timezone(timedelta(hours=-9))) + timedelta(seconds=0.2)
    story.run(lambda: story.shop.plain.apply_async(eta=soon), CONTINUED, show=["reason"])


def test_an_eta_in_the_past_is_no_delay(story):
    story.begin({"delay_threshold": 0.1})
    eta = datetime.now(timezone.utc) - timedelta(hours=1)
    story.run(lambda: story.shop.plain.apply_async(eta=eta), CONTINUED, show=["reason"])


def test_a_threshold_of_none_is_beyond_every_delay(story):
    story.begin({"delay_threshold": None})
    story.run(lambda: story.shop.plain.apply_async(countdown=0.2), CONTINUED, show=["reason"])
