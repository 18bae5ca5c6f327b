"""Starting a span under an identity that was chosen before, with an SDK tracer as it is at that moment."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import Span, SpanContext, TraceFlags

_RANDOM = 2
"""The W3C trace flag that says that a trace id is random (level 2 of the recommendation)."""


def generator_of(tracer: Any) -> Any:
    """What makes the ids of an SDK tracer, whose ``id_generator`` is public; of any other tracer None."""
    generator = getattr(tracer, "id_generator", None)
    names = ("generate_trace_id", "generate_span_id")
    return generator if all(callable(getattr(generator, name, None)) for name in names) else None


def choose(generator: Any, random: int, producer: SpanContext, parent: SpanContext | None) -> SpanContext:
    """An identity for the run span of the message that ``producer`` sends: in the trace of ``parent``, or a new one.

    ``random`` is the :func:`random_flag` of the generator.
    """
    trace_id = parent.trace_id if parent else generator.generate_trace_id()
    flags = producer.trace_flags & ~_RANDOM | (parent.trace_flags & _RANDOM if parent else random)
    return SpanContext(trace_id, generator.generate_span_id(), True, TraceFlags(flags))


def start_as(tracer: Any, identity: SpanContext, second: bool, arguments: tuple[Any, ...]) -> Span:
    """``tracer.start_span`` of a span that is to be ``identity``, or is in its trace if it may be the ``second`` one.

    The twin of the tracer is made anew each time: a tracer's resource and configuration may change, as after a fork.
    """
    twin = object.__new__(type(tracer))
    twin.__dict__.update(tracer.__dict__)
    twin.id_generator = _Identity(tracer.id_generator, identity, second)
    return twin.start_span(*arguments)  # type: ignore[no-any-return]


class _Identity:
    """In front of an id generator: gives the one identity."""

    def __init__(self, generator: Any, identity: SpanContext, second: bool) -> None:
        self._generator = generator
        self._identity = identity
        self._second = second

    def generate_trace_id(self) -> int:
        return self._identity.trace_id

    def generate_span_id(self) -> int:
        return self._generator.generate_span_id() if self._second else self._identity.span_id

    def is_trace_id_random(self) -> bool:
        return bool(self._identity.trace_flags & _RANDOM)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)


def random_flag(generator: Any) -> int:
    """The W3C flag of trace ids that are random; generators that are older than the flag do not tell."""
    is_random = getattr(generator, "is_trace_id_random", None)
    return _RANDOM if is_random and is_random() else 0
