"""Our two headers: every key, every way to break one, and that reading never raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links._rules.facts import MAX_LINKS, NOTHING, ROOT, Chord, Claims
from celery_otel_links._wire import header as _wire
from celery_otel_links._wire.header import MAX_HEADERS_LENGTH, MAX_LENGTH, decode, encode
from tests.unit.strategies import anything, claims, contexts, resembling, times

ONE = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
ONE_TEXT = "0" * 31 + "1-" + "0" * 15 + "2-01"
BROKEN_CONTEXTS = [
    "",
    "0" * 32 + "-" + "0" * 15 + "2-01",
    "0" * 31 + "1-" + "0" * 16 + "-01",
    ONE_TEXT[1:],
    ONE_TEXT + "0",
    ONE_TEXT.replace("1-", "A-", 1),
    ONE_TEXT.replace("1-", "a_", 1),
    ONE_TEXT + "\n",
    " " + ONE_TEXT,
    "\u0660" * 31 + "1-" + "0" * 15 + "2-01",
]
BROKEN_TIMES = ["", "NaN", "inf", "-1", "1e9", "123456789012", "1.1234567890", "1.", ".5", "+1", "1 ", "\u0661"]
# Per key of the header: the field, a text that is right with its value, and texts that are wrong.
KEYS = {
    "mode": ("mode", [("child", "child"), ("link", "link"), ("none", "none")], ["", "Link", "links", "link "]),
    "reason": ("reason", [("fan-out", "fan-out"), ("a", "a")], ["", "-x", "A", "a1", "a" * 33, "a\n", "é"]),
    "rank": ("rank", [("1", 1), ("99", 99)], ["", "0", "100", "-1", "1.0", "01", "NaN", "x", "²", "9" * 400]),
    "origin": ("origin", [(ONE_TEXT, ONE)], BROKEN_CONTEXTS),
    "first": ("first", [(ONE_TEXT, ONE)], BROKEN_CONTEXTS),
    "previous": ("previous", [(ONE_TEXT, ONE)], BROKEN_CONTEXTS),
    "reserved": ("reserved", [(ONE_TEXT, ONE)], BROKEN_CONTEXTS),
    "first-t": ("first_published", [("0", 0.0), ("1700000000.123456", 1700000000.123456)], BROKEN_TIMES),
    "chord": (
        "chords",
        [
            ("0", (Chord(0.0, None),)),
            (f"1700000000.123456-{ONE_TEXT}", (Chord(1700000000.123456, ONE),)),
            (f"2.5,1.5-{ONE_TEXT}", (Chord(2.5, None), Chord(1.5, ONE))),
            ("1,2,3,4,5,6", tuple(Chord(float(time), None) for time in (1, 2, 3, 4))),
        ],
        [*BROKEN_TIMES, *(f"1.5-{text}" for text in BROKEN_CONTEXTS), "1.5,", ",1.5", f"1.5,2-{ONE_TEXT[1:]}"],
    ),
    "body": ("body", [(ONE_TEXT, ONE), ("root", ROOT)], [*BROKEN_CONTEXTS, "Root"]),
    "captured-t": ("captured", [("0", 0.0), ("1700000000.123456", 1700000000.123456)], BROKEN_TIMES),
}
RIGHT = [(key, field, text, value) for key, (field, right, _) in KEYS.items() for text, value in right]
WRONG = [(key, field, text) for key, (field, _, wrong) in KEYS.items() for text in wrong]


def test_the_table_holds_every_key_and_every_field():
    assert tuple(KEYS) == _wire._KEYS
    assert tuple(field for field, *_ in KEYS.values()) == Claims._fields


@pytest.mark.parametrize(("key", "field", "text", "value"), RIGHT)
def test_a_key_that_is_right_is_read(key, field, text, value):
    assert decode(f"v=1;{key}={text}") == (None, NOTHING._replace(**{field: value}))


@pytest.mark.parametrize(("key", "field", "text"), WRONG)
def test_a_key_that_is_broken_is_dropped_alone(key, field, text):
    others = Claims(mode="link", reason="call", rank=1, origin=ONE, body=ROOT)
    broken = encode(1.5, others._replace(**{field: None})) + f";{key}={text}"
    assert decode(broken) == (1.5, others._replace(**{field: None}))


@pytest.mark.parametrize("text", ["0", "1700000000.5", "99999999999", "0.000001"])
def test_a_time_that_is_right_is_read(text):
    assert decode(f"v=1;t={text}") == (float(text), NOTHING)


@pytest.mark.parametrize("text", BROKEN_TIMES)
def test_a_time_that_is_broken_is_dropped_alone(text):
    assert decode(f"v=1;t={text};mode=link") == (None, Claims(mode="link"))


@pytest.mark.parametrize("key", ["t", *KEYS])
def test_the_first_of_two_equal_keys_counts(key):
    first, second = {"t": ("1.5", "2.5"), "rank": ("1", "2"), "mode": ("link", "none")}.get(key, (ONE_TEXT, "root"))
    if key in ("reason", "first-t", "chord", "captured-t"):
        first, second = ("a", "b") if key == "reason" else ("1.5", "2.5")
    assert decode(f"v=1;{key}={first};{key}={second}") == decode(f"v=1;{key}={first}")
    assert decode(f"v=1;{key}={first}") not in ((None, NOTHING), decode(f"v=1;{key}={second}"))


@pytest.mark.parametrize("version", ["v=1", "v=2", "v=99"])
@pytest.mark.parametrize("unknown", ["colour=red", "tt=5", "=", "x", "", "modes=none", "x=" + "y" * 450])
def test_keys_and_versions_to_come_do_not_hide_the_known_ones(version, unknown):
    assert decode(f"{version};{unknown};t=1.5;{unknown};mode=link") == (1.5, Claims(mode="link"))


def test_a_header_of_before_the_other_keys_is_read():
    assert decode("v=1;t=1.500000") == (1.5, NOTHING)


@pytest.mark.parametrize("text", ["", "v=0;mode=link", "v=100;mode=link", "v=;mode=link", "mode=link", " v=1", "v=1x;"])
def test_without_a_version_nothing_is_read(text):
    assert decode(text) == (None, NOTHING)


@pytest.mark.parametrize("value", [None, 17, 1.5, True, b"v=1;mode=link", ["v=1"], {"v": 1}, object()])
def test_what_is_no_text_says_nothing(value):
    assert decode(value) == (None, NOTHING)
    assert _wire.decode_headers(value) == ((), 0)
    assert _wire.decode_context(value) is None


def test_a_header_is_read_up_to_its_limit():
    text = "v=1;t=1.500000;mode=link;x="
    assert decode(text.ljust(MAX_LENGTH, "y")) == (1.5, Claims(mode="link"))
    assert decode(text.ljust(MAX_LENGTH + 1, "y")) == (None, NOTHING)


def test_the_longest_header_is_within_the_limit():
    most = SpanContext(2**128 - 1, 2**64 - 1, is_remote=True, trace_flags=TraceFlags(255))
    chords = (Chord(99999999999.5, most),) * 4
    full = Claims("child", "a" * 32, 99, most, most, most, most, 99999999999.5, chords, most, 99999999999.5)
    assert len(encode(99999999999.5, full)) < MAX_LENGTH
    assert decode(encode(99999999999.5, full)) == (99999999999.5, full)


@pytest.mark.parametrize("text", BROKEN_CONTEXTS)
def test_a_broken_context_is_none(text):
    assert _wire.decode_context(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"v=1;{ONE_TEXT}", ((ONE,), 0)),
        (f"v=1;dropped=7;{ONE_TEXT};{ONE_TEXT}", ((ONE,), 7)),
        (f"v=7;news;dropped=x;{ONE_TEXT.upper()}A;{ONE_TEXT}", ((ONE,), 0)),
        (f"v=1;dropped=-1;{ONE_TEXT}", ((ONE,), 0)),
        (f"v=1;dropped=1234567;{ONE_TEXT}", ((ONE,), 0)),
        (f"v=1;dropped=\u0663;{ONE_TEXT}", ((ONE,), 0)),
        (ONE_TEXT, ((), 0)),
        ("v=1", ((), 0)),
        ("v=1;" + ";" * MAX_HEADERS_LENGTH, ((), 0)),
    ],
)
def test_the_contexts_of_a_chords_headers(text, expected):
    assert _wire.decode_headers(text) == expected


def test_as_many_header_contexts_as_a_span_keeps_links_and_the_rest_counted():
    many = [SpanContext(1, number, is_remote=True, trace_flags=TraceFlags(1)) for number in range(1, 301)]
    text = _wire.encode_headers(many, dropped=5)
    assert len(text) <= MAX_HEADERS_LENGTH
    assert _wire.decode_headers(text) == (tuple(many[:MAX_LINKS]), 300 - MAX_LINKS + 5)


@given(times, claims)
def test_what_is_written_is_what_is_read(published, told):
    text = encode(published, told)
    assert text.isascii()
    assert len(text) <= MAX_LENGTH
    assert decode(text) == (published, told)
    assert encode(*decode(text)) == text


@given(st.text() | resembling | anything)
def test_any_text_is_read_without_an_exception(text):
    published, told = decode(text)
    assert published is None or 0 <= published <= 1e11
    again = encode(published or 0.0, told)
    assert len(again) <= MAX_LENGTH
    assert decode(again)[1] == told
    contexts, dropped = _wire.decode_headers(text)
    assert len(contexts) <= MAX_LINKS
    assert dropped >= 0


@given(st.lists(contexts, max_size=MAX_LINKS, unique_by=lambda context: context[:2]), st.integers(0, 999_999))
def test_header_contexts_that_are_written_are_read(told, dropped):
    assert _wire.decode_headers(_wire.encode_headers(told, dropped=dropped)) == (tuple(told), dropped)
