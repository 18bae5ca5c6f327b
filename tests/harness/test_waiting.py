"""Waiting: until a condition holds, or a deadline that says what was seen last."""

from __future__ import annotations

import itertools

import pytest

from tests.harness.waiting import until


def test_it_returns_the_first_true_value():
    values = iter([0, "", None, "here"])
    assert until(lambda: next(values), what="a value") == "here"


def test_a_deadline_says_what_was_waited_for_and_seen_last():
    with pytest.raises(TimeoutError, match=r"not within 0\.05 s: a true zero; last seen: 0"):
        until(lambda: 0, what=lambda: "a true zero", timeout=0.05)


def test_a_steady_condition_has_to_stay_true():
    counter = itertools.count()
    flickering = iter([True, False, *[True] * 1000])
    assert until(lambda: next(counter) >= 0 and next(flickering), what="calm", steady=0.05)
    assert next(counter) > 3
