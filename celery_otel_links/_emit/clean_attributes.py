"""Giving a span its attributes without having the SDK clean them, where nobody can tell the difference.

The SDK looks at every attribute that it is given, which takes a quarter of the time in which a task is traced. Ours are
clean: texts and numbers, under names that are ours. So those of a span that starts are put where the SDK keeps them
right after the start, if nobody looks at them before: neither the sampler nor any span processor. Of the SDK's own that
is known; where there is any other, or a limit that the attributes could exceed, the SDK is given them as usual.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.trace import Span

_CLEAN = frozenset({str, int, float, bool})
"""The types that the SDK keeps as they are."""
_MOST = 64
"""More attributes than a span of ours has when it starts."""
_SAMPLING = "opentelemetry.sdk.trace.sampling."
_LINKED = "celery_otel_links.sampling.LinkedSampler"  # asks about the attributes of a span that has links
_SAMPLERS = {
    _SAMPLING + "StaticSampler",
    _SAMPLING + "TraceIdRatioBased",
    _SAMPLING + "ParentBased",
    _SAMPLING + "ParentBasedTraceIdRatio",
    _SAMPLING + "_AlwaysOff",
    _SAMPLING + "_AlwaysOn",
    _SAMPLING + "_ParentBasedAlwaysOff",
    _SAMPLING + "_ParentBasedAlwaysOn",
    _LINKED,
}
_OF_PROCESSORS = {
    "opentelemetry.sdk.trace.SynchronousMultiSpanProcessor",
    "opentelemetry.sdk.trace.ConcurrentMultiSpanProcessor",
}
# What the processors do at the start of a span that do nothing then.
_NOTHING = {
    "opentelemetry.sdk.trace.SpanProcessor.on_start",
    "opentelemetry.sdk.trace.export.BatchSpanProcessor.on_start",
    "opentelemetry.sdk.trace.export.SimpleSpanProcessor.on_start",
}


class CleanAttributes:
    """The attributes of a tracer's spans."""

    def __init__(self, tracer: Any) -> None:
        samplers = set(_samplers(getattr(tracer, "sampler", None)))
        self._all_processors: Any = getattr(tracer, "span_processor", None)
        self._known = (
            _name(type(tracer)) == "opentelemetry.sdk.trace.Tracer"
            and samplers <= _SAMPLERS
            and _name(type(self._all_processors)) in _OF_PROCESSORS
            and _unlimited(getattr(tracer, "_span_limits", None))
            and _keeps_a_dict()
        )
        self._processors: Any = None
        self._unseen = False
        self._unseen_with_links = _LINKED not in samplers

    def come_late(self, attributes: dict[str, Any], links: Collection[object] = ()) -> bool:
        """Whether a span that starts with these may have its attributes from :func:`give`."""
        if not self._known:
            return False
        processors = self._all_processors._span_processors
        if processors is not self._processors:  # one was added
            self._unseen = all(_at_start(one) in _NOTHING for one in processors)
            self._processors = processors
        unseen = self._unseen and (self._unseen_with_links or not links)
        return unseen and _CLEAN.issuperset(map(type, attributes.values()))

    def set(self, span: Span, name: str, value: str) -> None:
        """``span.set_attribute``; the span may have ended, and others may have set attributes."""
        kept: Any = getattr(span, "_attributes", None) if self._known else None
        clean = kept.__class__ is BoundedAttributes and value.__class__ is str
        if clean and len(kept._dict) < _MOST and span.is_recording():
            kept._dict[name] = value
        else:
            span.set_attribute(name, value)


def give(span: Span, attributes: dict[str, Any]) -> Span:
    """``span``, which has just started without any attributes, with these. One that records nothing gets none."""
    kept = getattr(span, "_attributes", None)
    if kept.__class__ is BoundedAttributes:
        kept._dict.update(attributes)
    elif span.is_recording():
        span.set_attributes(attributes)
    return span


def _name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def _at_start(processor: Any) -> str:
    """What a span processor does when a span starts; it may stand in the processor itself, and not in its class."""
    return _name(getattr(getattr(processor, "on_start", None), "__func__", None))


def _samplers(sampler: Any) -> Iterator[str]:
    """The classes of a sampler and of all that it is made of, as far as they are known."""
    kind = _name(type(sampler))
    yield kind
    if kind in _SAMPLERS:
        for part in vars(sampler).values():
            if hasattr(part, "should_sample"):
                yield from _samplers(part)


def _unlimited(limits: Any) -> bool:
    """Whether attributes of ours are kept, all and whole."""
    most, longest = getattr(limits, "max_span_attributes", 0), getattr(limits, "max_span_attribute_length", 0)
    return (most is None or most >= _MOST) and longest is None


def _keeps_a_dict() -> bool:
    """Whether the API's container still is as it was when this was written."""
    container = BoundedAttributes(_MOST, immutable=False)
    kept = getattr(container, "_dict", None)
    if not isinstance(kept, dict):
        return False
    kept["name"] = "value"
    return dict(container) == {"name": "value"}
