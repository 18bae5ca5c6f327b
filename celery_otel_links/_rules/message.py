"""Celery's headers, bodies and requests -> frozen facts. The only file that knows how Celery lays them out.

Most messages are plain: no canvas, no retry, no eta. They all have the same facts, ``PLAIN_OUT`` and ``PLAIN_IN``.
"""

from __future__ import annotations

from celery_otel_links._rules.canvas import UNLOCK, Publisher, chord_keys, fans_out, next_id, shape_of, unlocked, whole
from celery_otel_links._rules.facts import PLAIN_IN, PLAIN_OUT, Incoming, Message, Outgoing, Request, Shape
from celery_otel_links._rules.latency import epoch
from celery_otel_links._rules.request import MESSAGES, SECOND
from celery_otel_links._rules.routes import MAPPERS

_SPECIAL = MAPPERS | {UNLOCK}
# What makes a message special where it is set: when it is published in its options and in what is embedded, and when it
# runs in the request.
_OPTIONS = ("group", "eta", "retries")
_EMBEDDED = ("chain", "chord")
_MARKS = ("group", "chord", "chain", "eta", "retries", "is_eager", SECOND, MESSAGES)


def outgoing(message: Message, publisher: Publisher | None) -> Outgoing:
    """The facts of a message that Celery is about to publish, for protocols 2 (tuple body) and 1 (dict body)."""
    name, fields, body = message.name, message.headers, message.body
    args, embed = None, {}
    if isinstance(body, (tuple, list)) and len(body) > 2:
        args, embed = body[0], body[2]
    elif isinstance(body, dict):
        fields, args, embed = body, body.get("args"), body
    get = fields.get
    if publisher is not None and publisher.plain and get("id") != publisher.id:
        publisher = None
    if not (publisher or any(map(get, _OPTIONS)) or any(map(embed.get, _EMBEDDED)) or name in _SPECIAL):
        return PLAIN_OUT
    chain, chord = embed.get("chain"), embed.get("chord")
    group, eta, retries = get("group"), get("eta"), get("retries")
    last = chain[0] if chain else None  # the list is reversed: its first element is the last step
    identifier, index = str(get("id")), get("group_index")
    shape = None if publisher is None else shape_of(name, identifier, whole(retries), group, index, publisher)
    if shape is None:
        many = fans_out(group, index, chord, last, "stamps" in fields)
        shape = Shape.PLUMBING if name == UNLOCK else Shape.FAN_OUT if many else Shape.SINGLE
    if name == UNLOCK:
        chord = unlocked(args)
    return Outgoing(
        shape=shape,
        retries=whole(retries),
        eta=None if eta is None else epoch(eta),
        chords=() if chord is None and last is None else chord_keys(chord, last),
    )


def incoming(request: Request, name: str) -> Incoming:
    """The facts of a message as the worker sees it."""
    fields = vars(request)
    get = fields.get
    redelivered = (get("delivery_info") or {}).get("redelivered")
    if not (redelivered or any(map(get, _MARKS)) or name in _SPECIAL):
        return PLAIN_IN
    if get(MESSAGES) is not None:
        return Incoming(messages=len(fields[MESSAGES]))
    group, chord, chain, eta, retries = get("group"), get("chord"), get("chain"), get("eta"), get("retries")
    last = chain[0] if chain and isinstance(chain, list) else None
    return Incoming(
        retries=whole(retries),
        eta=None if eta is None else epoch(eta),
        fan_out=fans_out(group, get("group_index"), chord, last, "stamps" in fields),
        redelivered=bool(redelivered),
        second=bool(redelivered or get(SECOND)),
        eager=bool(get("is_eager")),
        chords=chord_keys(unlocked(get("args")) if name == UNLOCK else chord, last),
        header_of=str(group) if chord and group else None,
        next_id=next_id(fields),
    )
