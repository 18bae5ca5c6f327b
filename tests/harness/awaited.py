"""Waiting for a text about spans, which is late as long as it can still become what is expected, and wrong after that.

Spans are exported when they have ended. What is seen of them only grows, and what a span says of itself is final: its
name, how it ended, how many links of which kinds it has. Its parent and the targets of its links may be missing at
first, and with them its place in the forest and the numbers behind the names.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable

from tests.harness.forest import COLUMN, INDENT
from tests.harness.waiting import until

TIMES = re.compile(r"x (\d+)")
LINK = re.compile(r"(link \S+) -> .*?(?: x (\d+))?")


class Wrong(AssertionError):
    """What is seen can't become what is expected any more."""


def until_seen(
    wanted: str,
    seen: Callable[[], str],
    *,
    final: Callable[[str], Counter[str]],
    what: Callable[[], str],
    timeout: float = 15.0,
) -> None:
    """Wait until the text is the wanted one and stays so. `Wrong` if it can't become it, `TimeoutError` if it is late.

    `final` gives what of a text does not change any more, and how often it is there.
    """
    __tracebackhide__ = True
    expected = final(wanted)

    def as_wanted() -> bool:
        __tracebackhide__ = True
        text = seen()
        if text != wanted:
            here = final(text)
            if here - expected:
                raise Wrong(f"wrong, this is not expected: {', '.join(here - expected)}{what()}")
            if here == expected:
                raise Wrong(f"wrong, all is there, but not in its place:{what()}")
        return text == wanted

    until(as_wanted, what=what, timeout=timeout, steady=0.1)


def said_in_forest(text: str) -> Counter[str]:
    """What the spans of a rendered forest say of themselves, wherever they stand: `run/a  ERROR  link header x 2`."""
    said: Counter[str] = Counter()
    times: list[int] = []  # how many spans a line stands for, for the line and those above it
    for line in text.splitlines():
        name, *columns = line.strip().split(COLUMN)
        alike = TIMES.fullmatch(columns[-1]) if columns else None
        depth = (len(line) - len(line.lstrip())) // len(INDENT)
        times[depth:] = [int(alike[1]) if alike else 1]
        own = [name.partition("#")[0]]
        links: Counter[str] = Counter()
        for column in columns[:-1] if alike else columns:
            if link := LINK.fullmatch(column):
                links[link[1]] += int(link[2] or 1)
            elif column != "parent -> ?":
                own.append(column)
        own += [f"{kind} x {count}" for kind, count in sorted(links.items())]
        said[COLUMN.join(own)] += math.prod(times)
    return said


def said_in_list(text: str) -> Counter[str]:
    """What a list of the form `one, another x 2` holds."""
    said: Counter[str] = Counter()
    for part in filter(None, text.split(", ")):
        one, _, times = part.partition(" x ")
        said[one] += int(times or 1)
    return said
