"""How long a message waited: every case as a row, and what always holds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_otel_links._rules.latency import Latency, epoch, measure

T = 1_700_000_000.0
HOUR = 3600.0
# Times relative to publishing, and the latencies expected: (enqueue_to_start, scheduled, queue, broker, prefetch).
CASES = {
    "plain": ({"received": 2, "start": 5}, (5, None, 5, 2, 3)),
    "started at once": ({"received": 0, "start": 0}, (0, None, 0, 0, 0)),
    "not known when received": ({"start": 5}, (5, None, 5, None, None)),
    "eta, held in the worker": ({"eta": 10, "received": 1, "start": 12}, (12, 10, 2, 0, 2)),
    "eta, held in the broker": ({"eta": 10, "received": 13, "start": 14}, (14, 10, 4, 3, 1)),
    "eta that the timer anticipates": ({"eta": 10, "received": 1, "start": 9.9}, (9.9, 9.9, 0, 0, 0)),
    "eta, started exactly then": ({"eta": 10, "received": 1, "start": 10}, (10, 10, 0, 0, 0)),
    "eta in the past": ({"eta": -HOUR, "received": 2, "start": 5}, (5, 0, 5, 2, 3)),
    "eta of 1970": ({"eta": -T, "received": 2, "start": 5}, (5, 0, 5, 2, 3)),
    "eta beyond everything": ({"eta": 1e11, "received": 2, "start": 5}, (5, 5, 0, 0, 0)),
    "eta, not known when received": ({"eta": 3, "start": 5}, (5, 3, 2, None, None)),
    "redelivered after an hour": ({"received": HOUR, "start": HOUR + 1}, (HOUR + 1, None, HOUR + 1, HOUR, 1)),
}
SKEWED = {
    "publisher's clock seconds ahead": ({"received": -4, "start": -3}, (0, None, 0, 0, 0)),
    "publisher's clock hours ahead": ({"received": -HOUR, "start": 1 - HOUR}, (0, None, 0, 0, 0)),
    "ahead by less than the wait": ({"received": -4, "start": 3}, (3, None, 3, 0, 3)),
    "ahead, with an eta": ({"eta": 10, "received": -4, "start": 12}, (12, 10, 2, 0, 2)),
    "received after the start": ({"received": 7, "start": 5}, (5, None, 5, 5, 0)),
    "ahead, not known when received": ({"start": -3}, (0, None, 0, None, None)),
}


def measured(times):
    return measure(published=T, **{name: T + time for name, time in times.items()})


@pytest.mark.parametrize(("times", "expected"), CASES.values(), ids=CASES)
def test_without_skew(times, expected):
    assert measured(times) == Latency(*(value if value is None else pytest.approx(value) for value in expected))


@pytest.mark.parametrize(("times", "expected"), SKEWED.values(), ids=SKEWED)
def test_where_clocks_disagree_it_is_said_and_nothing_is_negative(times, expected):
    told = measured(times)
    assert told.clock_skew
    assert told[:5] == tuple(value if value is None else pytest.approx(value) for value in expected)


def test_a_clock_that_is_behind_by_hours_cannot_be_told_from_waiting():
    told = measured({"received": 2 * HOUR, "start": 2 * HOUR})
    assert told.broker == 2 * HOUR
    assert not told.clock_skew


@pytest.mark.parametrize(
    ("times", "prefetch", "skewed"),
    [
        ({"start": 5}, None, False),
        ({"start": 5, "received": 2}, 3, False),
        ({"start": 12, "received": 2, "eta": 10}, 2, False),
        ({"start": 9.9, "received": 2, "eta": 10}, 0, False),
        ({"start": 5, "received": 2, "eta": -HOUR}, 3, False),
        ({"start": 5, "received": 7}, 0, True),
    ],
)
def test_of_a_header_without_time_only_the_workers_part_is_known(times, prefetch, skewed):
    told = measure(**{name: T + time for name, time in times.items()})
    assert told == Latency(prefetch=prefetch if prefetch is None else pytest.approx(prefetch), clock_skew=skewed)


def test_a_retry_also_says_how_long_ago_the_first_attempt_was_published():
    told = measure(published=T, first_published=T - HOUR, received=T + 1, start=T + 2)
    assert (told.enqueue_to_start, told.since_first_enqueue) == (2, HOUR + 2)
    assert not told.clock_skew


@pytest.mark.parametrize(("captured", "expected"), [(T - HOUR, HOUR), (T, 0), (T + HOUR, 0), (None, None)])
def test_a_hand_over_lasts_from_the_capture_to_the_publish(captured, expected):
    told = measure(published=T, captured=captured, start=T + 2)
    assert told == Latency(enqueue_to_start=2, queue=2, handover=expected)
    assert measure(captured=captured, start=T + 2) == Latency()


def test_a_first_attempt_published_after_this_start_is_skew():
    told = measure(published=T, first_published=T + HOUR, received=T + 1, start=T + 2)
    assert told.since_first_enqueue == 0
    assert told.clock_skew


MOMENT = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-01T12:00:00+00:00",
        "2026-07-01T12:00:00Z",
        "2026-07-01T12:00:00",  # as a worker reads it: naive is UTC
        "2026-07-01T14:00:00+02:00",
        "2026-07-01T21:00:00.000000+09:00",
        "2026-07-01T06:30:00-05:30",
        MOMENT.astimezone(timezone(timedelta(hours=-11))).isoformat(),
    ],
)
def test_an_eta_in_any_zone_is_the_same_moment(text):
    assert epoch(text) == MOMENT.timestamp()


@pytest.mark.parametrize(
    "eta", [None, 17, 1.5, [], {}, b"2026-07-01", "", "soon", "NaN", "2026-13-01T00:00:00", "0001-01-01T00:00:00", "é"]
)
def test_what_is_no_moment_is_none_or_a_number_and_never_raises(eta):
    assert epoch(eta) is None or eta == "0001-01-01T00:00:00"


# What the wire lets through: nothing negative, nothing beyond the year 5138; starts are of this century.
wire = st.floats(0, 1e11) | st.floats(T - 1e4, T + 1e4)
etas = st.floats(-7e10, 3e11) | st.floats(T - 1e4, T + 1e4)
optional = st.none() | wire


@given(
    start=st.floats(T - 1e4, T + 1e4),
    published=optional,
    eta=st.none() | etas,
    received=optional,
    first=optional,
    captured=optional,
)
def test_both_sums_hold_and_nothing_is_negative(start, published, eta, received, first, captured):
    told = measure(
        start=start, published=published, eta=eta, received=received, first_published=first, captured=captured
    )
    assert all(value >= 0 for value in told[:7] if value is not None)
    if told.queue is not None:
        assert told.enqueue_to_start == pytest.approx((told.scheduled or 0) + told.queue, abs=1e-6)
    if told.broker is not None:
        assert told.queue == pytest.approx(told.broker + told.prefetch, abs=1e-6)
    assert (told.scheduled is None) == (published is None or eta is None)
    assert (told.queue is None) == (published is None)
    assert (told.prefetch is None) == (received is None)
