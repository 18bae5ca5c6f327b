"""What was emitted against what is declared: of a span, a metric's point or a log event, all that is not declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from celery_otel_links._declared import names
from celery_otel_links._declared.attributes import ALWAYS, ATTRIBUTES, CONTRIB_ATTRIBUTES, LINK, Attribute
from celery_otel_links._declared.spans import EVENTS, LINKS, SPANS

TYPES = {"string": str, "int": int, "double": float, "boolean": bool}
DECLARED = {**ATTRIBUTES, **CONTRIB_ATTRIBUTES}
HISTOGRAMS = {**names.HISTOGRAMS, **names.BEAT_HISTOGRAMS}
INSTRUMENTS = {
    **{name: ("histogram", one) for name, one in HISTOGRAMS.items()},
    **{name: ("counter", one) for name, one in names.COUNTERS.items()},
    **{name: ("gauge", one) for name, one in {**names.GAUGES, **names.QUEUE_GAUGES}.items()},
}
# The tracer with which people's own tests make spans of their own: `testing.CapturedSpans.tracer`.
OF_OTHERS = "celery_otel_links.testing"


class Undeclared(NamedTuple):
    """One thing that is not declared: the name by which a test may let it through, and a sentence."""

    name: str
    text: str


class Ended(NamedTuple):
    """A span that has ended, as far as it is looked at."""

    scope: str
    kind: str
    name: str
    attributes: Mapping[str, Any]
    links: Iterable[Mapping[str, Any]]
    """The attributes of each."""
    events: Iterable[tuple[str, Mapping[str, Any]]]
    """The name and the attributes of each."""
    dropped: int = 0
    """How many attributes the SDK has left out."""


def is_ours(scope: str) -> bool:
    return scope.startswith(names.SCOPE) and scope != OF_OTHERS


def in_span(span: Ended) -> Iterator[Undeclared]:
    scope, kind, name, attributes, *_ = span
    if not is_ours(scope):
        return
    where = f"{kind} {name}"
    if scope != names.SCOPE:
        yield Undeclared(scope, f"{where}: of the scope {scope}")
    if not any(one.kind == kind and name.startswith((_start(one.name), _start(one.opted))) for one in SPANS):
        yield Undeclared(name, f"{where}: a span of this kind and name")
    yield from _in_attributes(attributes, kind, where)
    for one in ATTRIBUTES.values():
        if kind in one.on and one.when == ALWAYS and one.name not in attributes and not span.dropped:
            yield Undeclared(one.name, f"{where}: {one.name} is declared to be there always, and is not")
    for link in span.links:
        leads = link.get(names.LINK_KIND)
        yield from _in_attributes(link, LINK, f"{where}: link {leads}")
        if leads not in LINKS or LINKS[leads].on != kind:
            yield Undeclared(f"link {leads}", f"{where}: a link of the kind {leads}")
    for event, told in span.events:
        yield from _in_event(event, told, where)


def in_log(scope: str, event: str, attributes: Mapping[str, Any]) -> Iterator[Undeclared]:
    if is_ours(scope):
        yield from _in_event(event, attributes, "log record")


def in_metric(scope: str, name: str, unit: str, kind: str, series: Iterable[Mapping[str, Any]]) -> Iterator[Undeclared]:
    """`kind` is `histogram`, `counter` or `gauge`; `series` are the attributes of each point."""
    if not is_ours(scope):
        return
    if scope not in (names.SCOPE, names.MAIN_SCOPE):
        yield Undeclared(scope, f"metric {name}: of the scope {scope}")
    if name not in INSTRUMENTS:
        yield Undeclared(name, f"metric {name}")
        return
    declared_kind, declared = INSTRUMENTS[name]
    if (kind, unit) != (declared_kind, declared.unit):
        yield Undeclared(name, f"metric {name}: a {kind} in {unit}, and not a {declared_kind} in {declared.unit}")
    for attributes in series:
        if attributes == {names.OVERFLOW: True}:
            continue
        for attribute, value in attributes.items():
            if attribute not in declared.attributes:
                yield Undeclared(attribute, f"metric {name}: the attribute {attribute}={value!r}")
            elif wrong := _wrong(DECLARED[attribute], value):
                yield Undeclared(attribute, f"metric {name}: {wrong}")


def _in_event(event: str, attributes: Mapping[str, Any], where: str) -> Iterator[Undeclared]:
    if event not in EVENTS:
        yield Undeclared(event, f"{where}: the event {event}")
    else:
        yield from _in_attributes(attributes, event, f"{where}: event {event}")


def _in_attributes(attributes: Mapping[str, Any], place: str, where: str) -> Iterator[Undeclared]:
    for name, value in attributes.items():
        declared = DECLARED.get(name)
        if declared is None or place not in declared.on:
            yield Undeclared(name, f"{where}: the attribute {name}={value!r}")
        elif wrong := _wrong(declared, value):
            yield Undeclared(name, f"{where}: {wrong}")


def _wrong(declared: Attribute, value: Any) -> str:
    if not any(_fits(value, one) for one in declared.type.split(" | ")):
        return f"{declared.name}={value!r} is of another type than {declared.type}"
    if declared.values and value not in declared.values:
        return f"{declared.name}={value!r} is none of {', '.join(declared.values)}"
    return ""


def _fits(value: Any, kind: str) -> bool:
    if kind.endswith("[]"):
        return isinstance(value, (tuple, list)) and all(_fits(one, kind.removesuffix("[]")) for one in value)
    return type(value) is TYPES[kind]


def _start(name: str) -> str:
    """What all names of a kind of spans begin with; of a missing one, what none begins with."""
    return name.partition("<")[0] or "\0"
