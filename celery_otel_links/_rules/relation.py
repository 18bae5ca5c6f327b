"""What the mode makes of the run span: a decided message and its contexts -> parent and links. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from opentelemetry.trace import SpanContext

from celery_otel_links._wire.header import MAX_LINKS, ROOT, Claims

LINK_KIND = "celery.link.kind"


class Relation(NamedTuple):
    """Where a run span belongs."""

    parent: SpanContext | None
    links: tuple[tuple[str, SpanContext], ...] = ()
    """Kind and target, nearest first."""
    dropped: int = 0
    """How many links had to be left out."""
    reserved: SpanContext | None = None
    """The context that the span is to have, where its publisher reserved one."""


class Row(NamedTuple):
    parent: str | None
    links: tuple[str, ...]


TABLE: dict[str, Row] = {
    # case: the span's parent, and its links; "origin?" only where the origin lies in another trace
    "child": Row("creation", ("origin?",)),
    "link": Row(None, ("producer", "origin?")),
    "none": Row(None, ()),
    "retry": Row("first", ("previous-attempt", "origin?")),
    "retry as a root": Row(None, ("previous-attempt", "producer", "origin")),
    "body": Row("body", ("origin?", "header")),
    "body as a root": Row(None, ("producer", "origin", "header")),
}


def relate(
    mode: str,
    creation: SpanContext | None,
    claims: Claims,
    *,
    retry: bool = False,
    redelivered: bool = False,
    headers: tuple[SpanContext, ...] = (),
    dropped: int = 0,
    beside: bool = False,
) -> Relation:
    """The relation of a run in ``mode`` to the span that created its message, by the rows of ``TABLE``.

    ``headers`` are the run spans of a chord's header tasks and ``dropped`` those that the message had no room for.
    ``beside``: a span with a parent links to its producer as well, as the messaging conventions ask.
    """
    # "first" belongs to the mode that the publisher chose: where the worker chose another, it is nobody's parent.
    if claims.mode != mode and claims.first is not None:
        claims = claims._replace(first=None)
    row = TABLE[_case(mode, retry, claims)]
    parent = _TARGETS[row.parent](claims, creation) if row.parent else None
    kinds = ("producer", *row.links) if beside and parent else row.links
    near = parent or creation
    links: list[tuple[str, SpanContext]] = []
    for kind in kinds:
        if kind == "header":
            links += [("header", context) for context in headers]
            continue
        target = _TARGETS[kind](claims, creation)
        if target is None:
            continue
        if kind == "origin?":
            kind = "origin"
            if near is not None and target.trace_id == near.trace_id:
                continue
        if kind == "origin" and any(_same(target, other) for _, other in [("parent", parent), *links]):
            continue
        links.append((kind, target))
    kept = tuple(links[:MAX_LINKS])
    reserved = claims.reserved
    # A second delivery would be a second span under the same identity, and a parent fixes the trace.
    if mode != "link" or redelivered or (reserved and parent and reserved.trace_id != parent.trace_id):
        reserved = None
    return Relation(parent, kept, dropped + len(links) - len(kept), reserved)


def limited(claims: Claims, most: str | None) -> Claims:
    """What is left of the claims of a message from a queue on which a context may do ``most``.

    Below ``child`` nothing that came with a message may place a span in a trace that it does not start, neither its
    own nor that of a task which it causes; with ``none`` nothing of it is linked to either.
    """
    if most is None or most == "child":
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


def _case(mode: str, retry: bool, claims: Claims) -> str:
    if mode == "none":
        return "none"
    if retry and claims.previous is not None:
        # The publisher leaves "first" out where the attempts shall not share a trace.
        return "retry" if mode == "child" or claims.first is not None else "retry as a root"
    if claims.body is not None:
        return "body" if mode == "child" and claims.body != ROOT else "body as a root"
    return mode


def _same(one: SpanContext, other: SpanContext | None) -> bool:
    return other is not None and (one.trace_id, one.span_id) == (other.trace_id, other.span_id)
