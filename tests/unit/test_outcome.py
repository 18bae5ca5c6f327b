"""How an attempt ended: every state that Celery gives, every exception that may pass, whatever `throws` holds."""

from __future__ import annotations

import pytest
from billiard.exceptions import SoftTimeLimitExceeded, Terminated
from celery.exceptions import Ignore, Reject, Retry

from celery_otel_links._rules.outcome import SUCCESS, Outcome, outcome

ERROR = KeyError("k")


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no")


class GreenletExit(BaseException):
    """As gevent's, by name."""


# State and value of `task_postrun`, what is propagating; then the outcome.
ENDS = {
    "success": ("SUCCESS", 7, None, SUCCESS),
    "success with an exception as its result": ("SUCCESS", ERROR, None, SUCCESS),
    "failure": ("FAILURE", ERROR, None, Outcome("FAILURE", ERROR)),
    "failure without an exception": ("FAILURE", "text", None, Outcome("FAILURE")),
    "retry": ("RETRY", Retry("later", ERROR), None, Outcome("RETRY", reason=str(Retry("later", ERROR)))),
    "retry that cannot be printed": ("RETRY", Unprintable(), None, Outcome("RETRY", reason="Unprintable")),
    "ignored": ("IGNORED", Ignore(), None, Outcome("IGNORED")),
    "rejected": ("REJECTED", Reject(), None, Outcome("REJECTED")),
    "a state of the user's own": ("PAUSED", ERROR, None, Outcome("PAUSED")),
    "raised through Celery": (None, None, ERROR, Outcome("FAILURE", ERROR)),
    "a retry raised through Celery": (None, None, Retry("later"), Outcome("RETRY", reason=str(Retry("later")))),
    "ignored, raised through Celery": (None, None, Ignore(), Outcome("IGNORED")),
    "rejected, raised through Celery": (None, None, Reject(), Outcome("REJECTED")),
    "nothing known": (None, None, None, Outcome("FAILURE")),
}
EXITS = {
    "by a signal": (SystemExit(-256 + 15), "TERMINATED", Terminated),
    "by the first signal": (SystemExit(-256 + 1), "TERMINATED", Terminated),
    "by the last signal": (SystemExit(-256 + 64), "TERMINATED", Terminated),
    "by more than signals": (SystemExit(-256 + 65), "FAILURE", SystemExit),
    "by none": (SystemExit(-256), "FAILURE", SystemExit),
    "with a code": (SystemExit(3), "FAILURE", SystemExit),
    "with nothing": (SystemExit(), "FAILURE", SystemExit),
    "with a text": (SystemExit("bye"), "FAILURE", SystemExit),
    "a greenlet": (GreenletExit(), "TERMINATED", Terminated),
    "by a key": (KeyboardInterrupt(), "FAILURE", KeyboardInterrupt),
    "at the soft limit": (SoftTimeLimitExceeded(), "FAILURE", SoftTimeLimitExceeded),
}


@pytest.mark.parametrize(("state", "value", "propagating", "expected"), ENDS.values(), ids=ENDS)
def test_an_end(state, value, propagating, expected):
    assert outcome(state, value, propagating, ()) == expected


@pytest.mark.parametrize(("error", "state", "kind"), EXITS.values(), ids=EXITS)
def test_the_end_of_what_left_the_process(error, state, kind):
    result = outcome(None, None, error, ())
    assert (result.state, type(result.error), result.reason) == (state, kind, None)


def test_a_termination_says_by_which_signal():
    assert "15" in str(outcome(None, None, SystemExit(-256 + 15), ()).error)
    assert "9" in str(outcome(None, None, SystemExit(-256 + 9), ()).error)


EXPECTED = {
    "a bare class": (KeyError, True),
    "a base class": (LookupError, True),
    "a tuple": ((ValueError, KeyError), True),
    "nested tuples": ((ValueError, ((KeyError,),)), True),
    "another class": (ValueError, False),
    "nested tuples of others": ((ValueError, (OSError, (TypeError,))), False),
    "nothing": (None, False),
    "no classes": ((), False),
    "rubbish": ("KeyError", False),
    "rubbish in a tuple": ((KeyError, "x"), True),  # as isinstance has it: the first that fits decides
    "rubbish ahead in a tuple": (("x", KeyError), False),
    "a list": ([KeyError], False),
    "a number": (7, False),
    "an instance": (ERROR, False),
}


@pytest.mark.parametrize(("throws", "expected"), EXPECTED.values(), ids=EXPECTED)
@pytest.mark.parametrize("state", ["FAILURE", None])
def test_what_a_task_expects_to_raise_is_no_error(throws, expected, state):
    result = outcome(state, ERROR, ERROR, throws)
    assert result == Outcome("FAILURE", None if expected else ERROR)


def test_what_is_expected_says_nothing_about_a_termination():
    assert isinstance(outcome(None, None, SystemExit(-256 + 15), SystemExit).error, Terminated)
