"""Headers as nobody should send them: ours and the W3C's, broken in every way that JSON or AMQP can carry."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

NAMES = (
    "celery-otel-links",
    "celery-otel-links-headers",
    "celery-otel-links-received",
    "otel-propagation",
    "traceparent",
    "tracestate",
    "baggage",
)
CONTEXT = f"{'a' * 32}-{'b' * 16}-01"
RIGHT = {
    "celery-otel-links": f"v=1;t=1700000000.000000;mode=link;reason=call;rank=1;origin={CONTEXT};reserved={CONTEXT}",
    "celery-otel-links-headers": f"v=1;dropped=0;{CONTEXT};{CONTEXT.replace('b', 'c')}",
    "celery-otel-links-received": 1700000000.5,
    "otel-propagation": "link",
    "traceparent": f"00-{CONTEXT}",
    "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    "baggage": "tenant=42,plan=gold;p=1",
}
PIECES = [
    *";=,-\n\t\0 ",
    *"0aA9%",
    "v=1",
    "v=2;",
    "mode=",
    "rank=NaN",
    "t=1e999",
    "first=",
    CONTEXT,
    "٣",
    "é",
    "\U0001d4b3",
]
NUMBERS = [0, -1, 1, 2**31, -(2**63), 2**63 - 1, 1.5, -0.0, 1e308, 5e-324]
JSON_ONLY = [2**64, 10**400, float("nan"), float("inf"), -float("inf"), "\ud800"]


def headers(count: int, *, amqp: bool, seed: int = 6) -> Iterator[dict[str, Any]]:
    """So many sets of headers, the same for the same seed. AMQP carries less, and no more than a frame."""
    dice = random.Random(seed)
    odd = NUMBERS if amqp else NUMBERS + JSON_ONLY
    longest = 3_000 if amqp else 20_000

    def scrambled(name: str) -> str:
        text = list(str(RIGHT[name]))
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(text) + 1)
            text[at : at + dice.randrange(8)] = dice.choices(PIECES, k=dice.randrange(3))
        return "".join(text)

    kinds: tuple[Callable[[str], Any], ...] = (
        lambda name: RIGHT[name],
        scrambled,
        scrambled,
        lambda _: "".join(dice.choices(PIECES, k=dice.randrange(30))),
        lambda name: str(RIGHT[name]) * dice.randrange(1, longest // 100),
        lambda _: dice.choice(["", "x" * longest, "v=1;" + "mode=link;" * (longest // 10), "00-" + "0" * 32]),
        lambda _: dice.choice(odd),
        lambda _: dice.choice([None, True, False]),
        lambda name: [RIGHT[name], None, [dice.choice(NUMBERS), {"deep": [str(RIGHT[name])]}]],
        lambda name: {name: RIGHT[name], "v": 1, "": {"": None}},
    )
    for _ in range(count):
        names = dice.sample(NAMES, dice.randrange(1, len(NAMES) + 1))
        yield {name: dice.choice(kinds)(name) for name in names}
