"""What the mode makes of the run span: a decided message and its contexts -> parent and links. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from opentelemetry.trace import SpanContext

from celery_otel_links._rules.facts import MAX_LINKS, ROOT, Claims, LinkKind, Mode, Relation


class Arrival(NamedTuple):
    """What a delivery says besides its mode and its claims."""

    retry: bool = False
    second: bool = False
    """It may be the second delivery of its message."""
    header_runs: tuple[SpanContext, ...] = ()
    """Of the body of a chord: the run spans of its header tasks."""
    dropped: int = 0
    """How many of those the message had no room for."""


FIRST = Arrival()


class Row(NamedTuple):
    """A parent and links, by the names of ``_TARGETS``; "origin?" only where the origin lies in another trace."""

    parent: str | None
    links: tuple[str, ...]


TABLE: dict[str, Row] = {
    "child": Row("creation", ("origin?",)),
    "link": Row(None, ("producer", "origin?")),
    "none": Row(None, ()),
    "retry": Row("first", ("previous-attempt", "origin?")),
    "retry as a root": Row(None, ("previous-attempt", "producer", "origin")),
    "body": Row("body", ("origin?", "header")),
    "body as a root": Row(None, ("producer", "origin", "header")),
}


def relate(
    mode: Mode,
    creation: SpanContext | None,
    claims: Claims,
    arrival: Arrival = FIRST,
    *,
    beside: bool = False,
    most: int = MAX_LINKS,
) -> Relation:
    """The relation of a run in ``mode`` to the span that created its message, by the rows of ``TABLE``.

    ``beside``: a span with a parent links to its producer as well, as the messaging conventions ask. ``most``: how many
    links a span can have.
    """
    # "first" belongs to the mode that the publisher chose: where the worker chose another, it is nobody's parent.
    if claims.mode != mode and claims.first is not None:
        claims = claims._replace(first=None)
    row = TABLE[_case(mode, arrival.retry, claims)]
    parent = _TARGETS[row.parent](claims, creation) if row.parent else None
    links: list[tuple[LinkKind, SpanContext]] = []
    for name in ("producer", *row.links) if beside and parent else row.links:
        if name == "header":
            links += [("header", context) for context in arrival.header_runs]
        elif (link := _link(name, claims, creation, parent)) and not _repeats(link, parent, links):
            links.append(link)
    kept = tuple(links[:most])
    reserved = claims.reserved
    # A parent fixes the trace.
    if mode != "link" or (reserved and parent and (arrival.second or reserved.trace_id != parent.trace_id)):
        reserved = None
    return Relation(
        parent=parent,
        links=kept,
        dropped=arrival.dropped + len(links) - len(kept),
        reserved=reserved,
        second=reserved is not None and arrival.second,
    )


def plainly_related(mode: Mode, creation: SpanContext | None, reserved: SpanContext | None) -> Relation:
    """What :func:`relate` gives for a message that claims no more than its decision, on its first delivery."""
    if mode == "child":
        return Relation(creation)
    if mode == "none" or creation is None:
        return Relation(None, (), 0, reserved if mode == "link" else None)
    return Relation(None, (("producer", creation),), 0, reserved)


def limited(claims: Claims, most: Mode) -> Claims:
    """What is left of the claims of a message from a queue on which a context may do ``most``.

    Below ``child`` nothing that came with a message may place a span in a trace that it does not start, neither its
    own nor that of a task which it causes; with ``none`` nothing of it is linked to either.
    """
    if most == "child":
        return claims
    origin = claims.origin if most == "link" else None
    body = None if claims.body is None else ROOT
    return claims._replace(origin=origin, first=None, reserved=None, chords=None, body=body)


_TARGETS: dict[str, Callable[[Claims, SpanContext | None], SpanContext | None]] = {
    "creation": lambda _, creation: creation,
    "producer": lambda _, creation: creation,
    "first": lambda claims, creation: claims.first or creation,
    "previous-attempt": lambda claims, _: claims.previous,
    "origin": lambda claims, _: claims.origin,
    "origin?": lambda claims, _: claims.origin,
    "body": lambda claims, _: claims.body if isinstance(claims.body, SpanContext) else None,
}
_LINK_KINDS: dict[str, LinkKind] = {
    "producer": "producer",
    "previous-attempt": "previous-attempt",
    "origin": "origin",
    "origin?": "origin",
}


def _case(mode: Mode, retry: bool, claims: Claims) -> str:
    if mode == "none":
        return "none"
    if retry and claims.previous is not None:
        # The publisher leaves "first" out where the attempts shall not share a trace.
        return "retry" if mode == "child" or claims.first is not None else "retry as a root"
    if claims.body is not None:
        return "body" if mode == "child" and claims.body != ROOT else "body as a root"
    return mode


def _link(
    name: str, claims: Claims, creation: SpanContext | None, parent: SpanContext | None
) -> tuple[LinkKind, SpanContext] | None:
    target = _TARGETS[name](claims, creation)
    near = parent or creation
    if target is None or (name == "origin?" and near is not None and target.trace_id == near.trace_id):
        return None
    return _LINK_KINDS[name], target


def _repeats(
    link: tuple[LinkKind, SpanContext], parent: SpanContext | None, links: list[tuple[LinkKind, SpanContext]]
) -> bool:
    """Whether an origin is the parent, or linked to already."""
    kind, target = link
    return kind == "origin" and any(_same(target, other) for other in (parent, *(other for _, other in links)))


def _same(one: SpanContext, other: SpanContext | None) -> bool:
    return other is not None and (one.trace_id, one.span_id) == (other.trace_id, other.span_id)
