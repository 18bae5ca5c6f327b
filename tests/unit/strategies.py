"""What hypothesis makes of the wire format: span contexts, claims, and text that resembles ours."""

from __future__ import annotations

from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links._wire import header as _wire

contexts = st.builds(
    lambda trace, span, flags: SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags)),
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
)
times = st.integers(0, 10**17 - 1).map(lambda microseconds: microseconds / 1e6).filter(lambda time: time < 1e11)
modes = st.sampled_from(["child", "link", "none"])
reasons = st.from_regex(r"[a-z][a-z-]{0,31}", fullmatch=True)
claims = st.builds(
    _wire.Claims,
    mode=st.none() | modes,
    reason=st.none() | reasons,
    rank=st.none() | st.integers(1, 99),
    origin=st.none() | contexts,
    first=st.none() | contexts,
    previous=st.none() | contexts,
    reserved=st.none() | contexts,
    first_published=st.none() | times,
    chords=st.none() | st.lists(st.builds(_wire.Chord, times, st.none() | contexts), min_size=1, max_size=4).map(tuple),
    body=st.none() | st.just(_wire.ROOT) | contexts,
    captured=st.none() | times,
)

_keys = st.sampled_from(["v", "t", *_wire._KEYS, "dropped", "", "colour"])
_values = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["1", "NaN", "inf", "-1", "1e5", "link", "root", "0" * 32 + "-" + "0" * 16 + "-01", "\u0663"]),
    contexts.map(_wire.encode_context),
)
_parts = st.builds("{}={}".format, _keys, _values) | st.text(max_size=8)
resembling = st.lists(_parts, max_size=20).map(lambda parts: ";".join(["v=1", *parts]))
"""Text with the look of our headers and anything in it."""
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
"""Whatever may stand where a header's text should."""
