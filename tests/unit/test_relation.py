"""Where a run span belongs: each row of the table, and what bends it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links._rules.facts import MAX_LINKS, NOTHING, ROOT, Chord, Claims, Relation
from celery_otel_links._rules.relation import TABLE, Arrival, limited, plainly_related, relate
from tests.unit.strategies import claims, contexts, modes


def context(trace, span):
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(1))


CREATION = context(1, 1)
NEAR_ORIGIN, ORIGIN = context(1, 9), context(9, 9)
FIRST, ELSEWHERE = context(1, 2), context(2, 2)
PREVIOUS = context(1, 3)
CHORD, FAR_CHORD = context(1, 4), context(4, 4)
HEADERS = (context(5, 1), context(6, 1))
RESERVED = context(7, 7)
# The mode, what the message claims, what else is known; then the parent and the links.
ROWS = {
    "child": ("child", Claims(), {}, CREATION, []),
    "child, origin in the same trace": ("child", Claims(origin=NEAR_ORIGIN), {}, CREATION, []),
    "child, origin elsewhere": ("child", Claims(origin=ORIGIN), {}, CREATION, [("origin", ORIGIN)]),
    "child, that names its producer too": ("child", Claims(), {"beside": True}, CREATION, [("producer", CREATION)]),
    "link": ("link", Claims(), {}, None, [("producer", CREATION)]),
    "link, beside changes nothing": ("link", Claims(), {"beside": True}, None, [("producer", CREATION)]),
    "link, origin is the producer": ("link", Claims(origin=CREATION), {}, None, [("producer", CREATION)]),
    "link, origin in its trace": ("link", Claims(origin=NEAR_ORIGIN), {}, None, [("producer", CREATION)]),
    "link, origin elsewhere": (
        "link",
        Claims(origin=ORIGIN),
        {},
        None,
        [("producer", CREATION), ("origin", ORIGIN)],
    ),
    "none": ("none", Claims(origin=ORIGIN, reserved=RESERVED), {}, None, []),
    "none, retried": ("none", Claims(previous=PREVIOUS), {"retry": True}, None, []),
    "none, body": ("none", Claims(body=CHORD), {"header_runs": HEADERS}, None, []),
    "retry of a child": (
        "child",
        Claims(mode="child", first=FIRST, previous=PREVIOUS),
        {"retry": True},
        FIRST,
        [("previous-attempt", PREVIOUS)],
    ),
    "retry of a child whose first is not known": (
        "child",
        Claims(mode="child", previous=PREVIOUS),
        {"retry": True},
        CREATION,
        [("previous-attempt", PREVIOUS)],
    ),
    "retry of a linked task": (
        "link",
        Claims(mode="link", first=ELSEWHERE, previous=PREVIOUS, origin=CREATION),
        {"retry": True},
        ELSEWHERE,
        [("previous-attempt", PREVIOUS), ("origin", CREATION)],
    ),
    "retry that is far away": (
        "link",
        Claims(mode="link", previous=PREVIOUS, origin=NEAR_ORIGIN),
        {"retry": True},
        None,
        [("previous-attempt", PREVIOUS), ("producer", CREATION), ("origin", NEAR_ORIGIN)],
    ),
    "retry that the worker links": (
        "link",
        Claims(mode="child", first=FIRST, previous=PREVIOUS),
        {"retry": True},
        None,
        [("previous-attempt", PREVIOUS), ("producer", CREATION)],
    ),
    "retry that does not say of what": ("link", Claims(), {"retry": True}, None, [("producer", CREATION)]),
    "previous of what is no retry": ("child", Claims(previous=PREVIOUS), {}, CREATION, []),
    "body": ("child", Claims(body=CHORD), {"header_runs": HEADERS}, CHORD, [("header", one) for one in HEADERS]),
    "body, origin elsewhere": (
        "child",
        Claims(body=FAR_CHORD, origin=CREATION),
        {"header_runs": HEADERS[:1]},
        FAR_CHORD,
        [("origin", CREATION), ("header", HEADERS[0])],
    ),
    "body after long": (
        "child",
        Claims(body=ROOT, origin=ORIGIN),
        {"header_runs": HEADERS},
        None,
        [("producer", CREATION), ("origin", ORIGIN), *(("header", one) for one in HEADERS)],
    ),
    "body that is linked": (
        "link",
        Claims(body=CHORD),
        {"header_runs": HEADERS[:1]},
        None,
        [("producer", CREATION), ("header", HEADERS[0])],
    ),
    "body that is retried": (
        "child",
        Claims(mode="child", body=CHORD, first=CHORD, previous=PREVIOUS),
        {"retry": True, "header_runs": HEADERS},
        CHORD,
        [("previous-attempt", PREVIOUS)],
    ),
    "headers of what is no body": ("child", Claims(), {"header_runs": HEADERS}, CREATION, []),
}


def related(mode, creation, told, *, beside=False, most=MAX_LINKS, **arrival):
    return relate(mode, creation, told, Arrival(**arrival), beside=beside, most=most)


@pytest.mark.parametrize(("mode", "told", "known", "parent", "links"), ROWS.values(), ids=ROWS)
def test_a_row(mode, told, known, parent, links):
    relation = related(mode, CREATION, told, **known)
    assert (relation.parent, list(relation.links), relation.dropped) == (parent, links, 0)


@pytest.mark.parametrize("mode", ["child", "link", "none"])
def test_without_a_creation_context_it_is_a_root_without_links(mode):
    assert relate(mode, None, NOTHING) == Relation(None)
    assert related(mode, None, NOTHING, beside=True, retry=True, second=True) == Relation(None)


def test_the_rows_reach_every_case():
    seen = set()
    for mode, told, known, *_ in ROWS.values():
        relation = related(mode, CREATION, told, **known)
        seen.add((relation.parent is None, tuple(kind for kind, _ in relation.links)))
    assert len(seen) >= len(TABLE)


RETRIED = {"mode": "link", "previous": PREVIOUS}


@pytest.mark.parametrize(
    ("mode", "known", "told", "reserved", "second"),
    [
        ("link", {}, {}, RESERVED, False),
        ("link", {"second": True}, {}, RESERVED, True),  # the trace, under a span id of its own
        ("child", {}, {}, None, False),
        ("child", {"second": True}, {}, None, False),
        ("none", {}, {}, None, False),
        ("link", {"retry": True}, {**RETRIED, "first": context(7, 1)}, RESERVED, False),
        ("link", {"retry": True}, {**RETRIED, "first": ELSEWHERE}, None, False),
        ("link", {"retry": True, "second": True}, {**RETRIED, "first": context(7, 1)}, None, False),
        ("link", {"retry": True, "second": True}, RETRIED, RESERVED, True),
        ("link", {"second": True}, {"reserved": None}, None, False),
    ],
)
def test_a_reserved_context_is_used_once_and_in_its_own_trace(mode, known, told, reserved, second):
    relation = related(mode, CREATION, Claims(reserved=RESERVED)._replace(**told), **known)
    assert (relation.reserved, relation.second) == (reserved, second)


@pytest.mark.parametrize("most", [MAX_LINKS, 10, 3])
def test_there_are_never_more_links_than_a_span_can_have_and_the_nearest_are_kept(most):
    many = tuple(context(trace, 1) for trace in range(10, 310))
    told = Claims(body=CHORD, origin=ORIGIN)
    relation = related("link", CREATION, told, most=most, header_runs=many, dropped=5)
    assert relation.links[:3] == (("producer", CREATION), ("origin", ORIGIN), ("header", many[0]))
    assert len(relation.links) == most
    assert relation.dropped == 302 - most + 5


def test_by_default_a_span_has_128_links():
    many = tuple(context(trace, 1) for trace in range(10, 310))
    assert len(relate("link", CREATION, Claims(body=CHORD), Arrival(header_runs=many)).links) == MAX_LINKS == 128


EVERYTHING = Claims("link", "call", 1, ORIGIN, FIRST, PREVIOUS, RESERVED, 1.5, (Chord(2.5, CHORD),), CHORD, 0.5)


def test_trusted_claims_are_as_they_were():
    assert limited(EVERYTHING, "child") is EVERYTHING


@pytest.mark.parametrize(("most", "origin"), [("link", ORIGIN), ("none", None)])
def test_claims_that_are_not_trusted_place_nothing_in_a_trace(most, origin):
    told = limited(EVERYTHING, most)
    assert (told.first, told.reserved, told.chords, told.body) == (None, None, None, ROOT)
    assert told.origin == origin
    assert told[:3] == EVERYTHING[:3]
    assert limited(NOTHING, most) == NOTHING


arrivals = st.builds(
    Arrival, st.booleans(), st.booleans(), st.lists(contexts, max_size=200).map(tuple), st.integers(0, 999_999)
)


@given(modes, st.none() | contexts, claims, arrivals, st.booleans(), st.integers(0, MAX_LINKS))
def test_a_relation_holds_nothing_that_was_not_told(mode, creation, told, arrival, beside, most):
    relation = relate(mode, creation, told, arrival, beside=beside, most=most)
    known = [None, creation, told.origin, told.first, told.previous, told.body, *arrival.header_runs]
    assert all(target in known for target in [relation.parent, *(target for _, target in relation.links)])
    assert len(relation.links) <= most
    assert relation.reserved in (None, told.reserved)
    assert not relation.second or relation.reserved
    assert relation.dropped >= arrival.dropped
    if mode == "none":
        assert relation[:2] == (None, ())


@given(modes, st.none() | contexts, claims, arrivals, st.sampled_from(["link", "none"]))
def test_with_limited_claims_a_link_or_less_is_always_a_root(mode, creation, told, arrival, most):
    if mode != "child":
        assert relate(mode, creation, limited(told, most), arrival).parent is None


@given(modes, st.none() | contexts, st.none() | contexts, claims)
def test_the_plain_relation_is_the_one_of_the_table(mode, creation, reserved, told):
    plain = Claims(told.mode, told.reason, told.rank, reserved=reserved)
    assert plainly_related(mode, creation, reserved) == relate(mode, creation, plain)
