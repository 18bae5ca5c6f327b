"""What a message says about itself: every shape of message, published outside and inside of an attempt."""

from __future__ import annotations

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, TraceFlags

from celery_otel_links._rules.claims import Moment, Predecessor, claims_of
from celery_otel_links._rules.facts import NOTHING, PLAIN_OUT, ROOT, Chord, Claims, Decision, Outgoing, Shape


def context(trace, span):
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(1))


NOW, BEFORE, LONG_AGO = 1000.0, 990.0, 100.0
THRESHOLD = 60.0
CHILD, LINK, NONE = Decision("child", "default", 9), Decision("link", "task", 2), Decision("none", "call", 1)
ACTIVE = context(1, 1)
CREATION, RUN, FIRST = context(2, 1), context(2, 2), context(2, 3)
ORIGIN = context(3, 1)
CHORD_AT, OUTER_AT = context(4, 1), context(5, 1)
HERE = Chord(NOW, ACTIVE)


def moment(*, active=ACTIVE, delayed=False, threshold=THRESHOLD, captured=None):
    return Moment(NOW, active, delayed, threshold, captured)


def attempt(decision=CHILD, claims=NOTHING, **facts):
    """An attempt in its second trace."""
    known = {"chords": (), "published": BEFORE, "creation": CREATION, "origin": None, "context": RUN, "first": FIRST}
    return Predecessor(decision, claims, **{**known, **facts})


RETRY = Outgoing(Shape.RETRY, retries=1)
BODY = Outgoing(Shape.CHORD_BODY)
INNER, OUTER = Chord(BEFORE, CHORD_AT), Chord(LONG_AGO, OUTER_AT)
IN_CHORD = Claims("child", "default", 9, chords=(INNER, OUTER))
# The message, its decision, who publishes it and when; then what it says besides its decision.
CASES = {
    "outside of any task": (PLAIN_OUT, CHILD, None, moment(), {}),
    "from a continued task": (PLAIN_OUT, CHILD, attempt(), moment(), {}),
    "from a task whose story began elsewhere": (PLAIN_OUT, LINK, attempt(origin=ORIGIN), moment(), {"origin": ORIGIN}),
    "that is handed over": (PLAIN_OUT, CHILD, None, moment(captured=BEFORE), {"captured": BEFORE}),
    "retry of a child": (
        RETRY,
        CHILD,
        attempt(),
        moment(),
        {"previous": RUN, "first": FIRST, "first_published": BEFORE},
    ),
    "retry of a retry": (
        RETRY,
        CHILD,
        attempt(claims=Claims(first_published=LONG_AGO)),
        moment(),
        {"previous": RUN, "first": FIRST, "first_published": LONG_AGO},
    ),
    "retry of a linked task": (
        RETRY,
        LINK,
        attempt(LINK, origin=ORIGIN),
        moment(),
        {"previous": RUN, "first": FIRST, "first_published": BEFORE, "origin": ORIGIN},
    ),
    "retry of a linked task that is far away": (
        RETRY,
        LINK,
        attempt(LINK),
        moment(delayed=True),
        {"previous": RUN, "first_published": BEFORE, "origin": CREATION},
    ),
    "retry of a child that is linked, being far away": (
        RETRY,
        LINK,
        attempt(CHILD),
        moment(delayed=True),
        {"previous": RUN, "first_published": BEFORE, "origin": CREATION},
    ),
    "retry of a linked task that the call continues": (
        RETRY,
        CHILD,
        attempt(LINK),
        moment(),
        {"previous": RUN, "first_published": BEFORE},
    ),
    "retry of a child that is far away and stays one": (
        RETRY,
        CHILD,
        attempt(),
        moment(delayed=True),
        {"previous": RUN, "first": FIRST, "first_published": BEFORE},
    ),
    "retry of a task that had no span": (
        RETRY,
        CHILD,
        attempt(context=None, first=None, published=None),
        moment(),
        {},
    ),
    "retry outside of the task": (RETRY, CHILD, None, moment(), {}),
    "replacement": (Outgoing(Shape.REPLACEMENT), CHILD, attempt(), moment(), {}),
    "header of a chord": (Outgoing(Shape.FAN_OUT, chords=("b",)), LINK, None, moment(), {"chords": (HERE,)}),
    "header of a chord, outside any span": (
        Outgoing(Shape.FAN_OUT, chords=("b",)),
        LINK,
        None,
        moment(active=INVALID_SPAN_CONTEXT),
        {"chords": (Chord(NOW, None),)},
    ),
    "header of chords in chords": (
        Outgoing(Shape.FAN_OUT, chords=("b", "c")),
        LINK,
        None,
        moment(),
        {"chords": (HERE, HERE)},
    ),
    "step of a chain in a chord": (
        Outgoing(Shape.CHAIN_STEP, chords=("b", "c")),
        CHILD,
        attempt(claims=IN_CHORD, chords=("b", "c")),
        moment(),
        {"chords": (INNER, OUTER)},
    ),
    "step of a chain in the outer chord alone": (
        Outgoing(Shape.CHAIN_STEP, chords=("c",)),
        CHILD,
        attempt(claims=IN_CHORD, chords=("b", "c")),
        moment(),
        {"chords": (OUTER,)},
    ),
    "header of a chord that a header task publishes": (
        Outgoing(Shape.FAN_OUT, chords=("new", "b")),
        LINK,
        attempt(claims=IN_CHORD, chords=("b", "c")),
        moment(),
        {"chords": (HERE, INNER)},
    ),
    "in a chord whose body has no id": (
        Outgoing(Shape.FAN_OUT, chords=(None,)),
        LINK,
        attempt(claims=IN_CHORD, chords=(None,)),
        moment(),
        {"chords": (HERE,)},
    ),
    "body": (
        BODY,
        CHILD,
        attempt(claims=IN_CHORD, chords=("b", "c")),
        moment(),
        {"body": CHORD_AT, "origin": CHORD_AT},
    ),
    "body after long": (
        BODY,
        CHILD,
        attempt(claims=Claims(chords=(OUTER,)), chords=("b",)),
        moment(),
        {"body": ROOT, "origin": OUTER_AT},
    ),
    "body after long, where nothing is too long": (
        BODY,
        CHILD,
        attempt(claims=Claims(chords=(OUTER,)), chords=("b",)),
        moment(threshold=None),
        {"body": OUTER_AT, "origin": OUTER_AT},
    ),
    "body of a chord whose story began elsewhere": (
        BODY,
        CHILD,
        attempt(claims=IN_CHORD, chords=("b",), origin=ORIGIN),
        moment(),
        {"body": CHORD_AT, "origin": ORIGIN},
    ),
    "body of a chord in the trace of its header task's origin": (
        BODY,
        CHILD,
        attempt(claims=IN_CHORD, chords=("b",), origin=context(4, 9)),
        moment(),
        {"body": CHORD_AT, "origin": CHORD_AT},
    ),
    "body of a chord that was published outside any span": (
        BODY,
        CHILD,
        attempt(claims=Claims(chords=(Chord(BEFORE, None),)), chords=("b",), origin=ORIGIN),
        moment(),
        {"body": ROOT, "origin": ORIGIN},
    ),
    "body of a chord that nobody has stamped": (BODY, CHILD, attempt(), moment(), {"body": ROOT}),
    "body that is a chord": (
        Outgoing(Shape.CHORD_BODY, chords=("new", "c")),
        CHILD,
        attempt(claims=IN_CHORD, chords=("b", "c")),
        moment(),
        {"body": CHORD_AT, "origin": CHORD_AT, "chords": (INNER, OUTER)},
    ),
}


@pytest.mark.parametrize(("message", "decision", "publisher", "when", "expected"), CASES.values(), ids=CASES)
def test_what_a_message_says(message, decision, publisher, when, expected):
    assert claims_of(message, decision, publisher, when) == Claims(*decision)._replace(**expected)


def test_what_is_plain_says_nothing_but_its_decision():
    for decision in (CHILD, LINK, NONE):
        assert claims_of(PLAIN_OUT, decision, None, moment()) == Claims(*decision)


def test_every_shape_stands_in_the_table():
    shown = {message.shape for message, *_ in CASES.values()}
    assert shown | {Shape.CALLBACK, Shape.PLUMBING} == set(Shape)
    for shape in (Shape.CALLBACK, Shape.PLUMBING):  # of which there is nothing to say
        assert claims_of(Outgoing(shape), CHILD, attempt(), moment()) == Claims(*CHILD)
