"""Our two headers: flat ASCII text that is encoded here, decoded here, and never raises whatever it holds.

``celery-otel-links`` carries what the run span needs besides the W3C fields; ``celery-otel-links-headers`` carries to
the body of a chord the span contexts of its header tasks. A key that is not known is ignored, so that an older worker
reads a newer header; a value that is broken is dropped alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.trace import SpanContext, TraceFlags

from celery_otel_links._rules.facts import MAX_LINKS, MODES, NOTHING, ROOT, Chord, Claims, Mode

HEADER = "celery-otel-links"
HEADERS_HEADER = "celery-otel-links-headers"
CALL_HEADER = "otel-propagation"
"""What a caller sets to choose the mode of one call."""
MAX_LENGTH = 1024
MAX_HEADERS_LENGTH = 8192

_MOST_CHORDS = 4
_TIME = re.compile(r"[0-9]{1,11}(?:\.[0-9]{1,9})?")
_RANKS = {str(rank): rank for rank in range(1, 100)}
_MODES: dict[str, Mode] = {mode: mode for mode in MODES}
_REASON = re.compile(r"[a-z][a-z-]{0,31}")
IDS = r"(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
"""A valid span context: its ids are not all zeros."""
_CONTEXT = re.compile(IDS)
_FLAGS = {f"{flags:02x}": TraceFlags(flags) for flags in range(256)}
_CHORD = re.compile(r"([0-9]{1,11}(?:\.[0-9]{1,9})?)(?:-([0-9a-f-]{52}))?")
_PLAIN = re.compile(
    r"v=1;t=([0-9]{1,11}\.[0-9]{6})(;mode=(?:child|link|none);reason=[a-z][a-z-]{0,31};rank=[1-9][0-9]?)"
    rf"(?:;reserved={IDS})?"
)
_VERSION = re.compile(r"v=[1-9][0-9]?(?:;|$)")


def encode(published: float, claims: Claims) -> str:
    """The text of the header, at most ``MAX_LENGTH`` ASCII characters; ``published`` in seconds since the epoch."""
    return f"v=1;t={published:.6f}{written(claims)}"


def encode_plainly(published: float, decided: str, reserved: SpanContext | None) -> str:
    """What :func:`encode` gives for claims of a decision, as :func:`written`, and a reserved context alone."""
    if reserved is None:
        return f"v=1;t={published:.6f}{decided}"
    return f"v=1;t={published:.6f}{decided};reserved={encode_context(reserved)}"


def decode(text: object) -> tuple[float | None, Claims]:
    """What ``text`` says, as far as it can be read; the first of two equal keys counts."""
    if not isinstance(text, str) or len(text) > MAX_LENGTH or not _VERSION.match(text):
        return None, NOTHING
    time = next((part[2:] for part in text.split(";") if part.startswith("t=")), "")
    return _time(time), read(text)


def decode_plainly(text: object) -> tuple[float, str, SpanContext | None] | None:
    """Of a header that :func:`encode_plainly` could have written: the time, the decision's text, what is reserved."""
    found = _PLAIN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    published, decided, trace_id, span_id, flags = found.groups()
    return float(published), decided, None if trace_id is None else context_of(trace_id, span_id, flags)


def encode_context(context: SpanContext) -> str:
    """``<trace id>-<span id>-<flags>`` in lower-case hexadecimal."""
    return f"{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def decode_context(text: object) -> SpanContext | None:
    """The span context that ``text`` names, or None where it is not one."""
    found = _CONTEXT.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else context_of(*found.groups())


def context_of(trace_id: str, span_id: str, flags: str) -> SpanContext:
    """The span context of what ``IDS`` has matched."""
    return SpanContext(int(trace_id, 16), int(span_id, 16), True, _FLAGS[flags])


def encode_headers(contexts: Iterable[SpanContext], *, dropped: int = 0) -> str:
    """The span contexts of the header tasks of a chord, at most ``MAX_LINKS``; ``dropped`` more were left out."""
    contexts = list(contexts)
    dropped += max(0, len(contexts) - MAX_LINKS)
    return ";".join(["v=1", f"dropped={dropped}", *map(encode_context, contexts[:MAX_LINKS])])


def decode_headers(text: object) -> tuple[tuple[SpanContext, ...], int]:
    """The span contexts in ``text`` and how many were left out; both empty where it cannot be read."""
    if not isinstance(text, str) or len(text) > MAX_HEADERS_LENGTH or not _VERSION.match(text):
        return (), 0
    dropped = 0
    contexts: dict[tuple[int, int], SpanContext] = {}
    for part in text.split(";"):
        if part.startswith("dropped="):
            count = part[len("dropped=") :]
            dropped = int(count) if count.isdecimal() and count.isascii() and len(count) <= 6 else 0
        elif (context := decode_context(part)) is not None:
            contexts[context.trace_id, context.span_id] = context
    kept = tuple(contexts.values())
    return kept[:MAX_LINKS], dropped + max(0, len(kept) - MAX_LINKS)


def written(claims: tuple[Any, ...]) -> str:
    """Claims as text, with a ``;`` in front of each."""
    return "".join([f";{key}={_write(value)}" for key, value in zip(_KEYS, claims, strict=False) if value is not None])


def read(text: str) -> Claims:
    """The claims in ``text``."""
    found: dict[str, SpanContext | float | str | tuple[Chord, ...] | None] = {}
    for part in text.split(";"):
        key, _, value = part.partition("=")
        reader = _READERS.get(key)
        if reader is not None and key not in found:
            found[key] = reader(value)
    return Claims(*map(found.get, _KEYS)) if found else NOTHING  # type: ignore[arg-type]


def _write(value: SpanContext | float | str | tuple[Chord, ...]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, SpanContext):
        return encode_context(value)
    return ",".join([f"{at:.6f}-{encode_context(context)}" if context else f"{at:.6f}" for at, context in value])


def _time(text: str) -> float | None:
    return float(text) if _TIME.fullmatch(text) else None


def _reason(text: str) -> str | None:
    return text if _REASON.fullmatch(text) else None


def _chords(text: str) -> tuple[Chord, ...] | None:
    chords: list[Chord] = []
    for part in text.split(",", _MOST_CHORDS)[:_MOST_CHORDS]:
        found = _CHORD.fullmatch(part)
        context = decode_context(found[2]) if found and found[2] else None
        if found is None or (found[2] and context is None):
            return None  # they stand for chords by their places: all or none
        chords.append(Chord(float(found[1]), context))
    return tuple(chords)


def _body(text: str) -> SpanContext | str | None:
    return ROOT if text == ROOT else decode_context(text)


_READERS: dict[str, Callable[[str], SpanContext | float | str | tuple[Chord, ...] | None]] = {
    "mode": _MODES.get,
    "reason": _reason,
    "rank": _RANKS.get,
    "origin": decode_context,
    "first": decode_context,
    "previous": decode_context,
    "reserved": decode_context,
    "first-t": _time,
    "chord": _chords,
    "body": _body,
    "captured-t": _time,
}
_KEYS = tuple(_READERS)
