"""A text that is late is waited for; one that can't become the expected one is wrong at once."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.harness.awaited import Wrong, said_in_forest, said_in_list, until_seen
from tests.harness.forest import normalised

WANTED = normalised("""
    request
      apply_async/a      link consumer -> run/a#1
      apply_async/b  x 2
        run/b            ERROR
    run/a#1              retry 1  link producer -> apply_async/a
""")
LATE = {
    "nothing yet": "",
    "one span": "apply_async/b",
    "without parents and targets": "run/b  parent -> ?  ERROR\nrun/a  retry 1  link producer -> ?",
    "not all of a kind": "request\n  apply_async/b\n    run/b  ERROR",
}
WRONG = {
    "a span too many": "run/b  ERROR\nrun/b  ERROR\nrun/b  ERROR",
    "a span that is not expected": "run/c",
    "another end": "run/b",
    "another kind of link": "run/a  retry 1  link origin -> ?",
    "a link too many": "run/a  retry 1  link producer -> ?  link producer -> apply_async/a",
    "another parent": WANTED.replace("\nrun/a#1", "\n  run/a#1"),
}


def wait(text: str, timeout: float) -> None:
    until_seen(WANTED, lambda: text, final=said_in_forest, what=lambda: "", timeout=timeout)


@pytest.mark.parametrize("text", LATE.values(), ids=LATE)
def test_what_may_still_become_right_is_late(text):
    with pytest.raises(TimeoutError):
        wait(text, 0.02)


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_cannot_become_right_is_wrong_at_once(text):
    begin = time.monotonic()
    with pytest.raises(Wrong):
        wait(text, 60)
    assert time.monotonic() - begin < 5


def test_what_is_wrong_after_it_was_right_is_wrong():
    texts = iter([WANTED, WANTED, WANTED + "\nrun/c"])
    with pytest.raises(Wrong, match="run/c"):
        until_seen(WANTED, lambda: next(texts), final=said_in_forest, what=lambda: "")


def test_a_forest_says_the_same_with_and_without_its_collapsed_lines():
    told = "a  x 2\n  b  link header -> c x 3  link header -> d\n    e  x 2"
    assert said_in_forest(told) == Counter({"a": 2, "b  link header x 4": 2, "e": 4})


def test_a_list_says_how_often_each_of_it_is_there():
    assert said_in_list("add: link by fan-out x 2, sums: child by default") == Counter(
        {"add: link by fan-out": 2, "sums: child by default": 1}
    )
    assert said_in_list("") == Counter()
