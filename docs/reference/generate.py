"""Writes what the documentation lists and the package declares: `reference/emitted.md`, and the table of options.

python docs/reference/generate.py            # writes the pages
python docs/reference/generate.py --check    # fails where a page is not what would be written
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from celery_otel_links._config.options import OPTIONS, Config
from celery_otel_links._declared import names
from celery_otel_links._declared.attributes import ATTRIBUTES, CONTRIB_ATTRIBUTES, METRIC, Attribute
from celery_otel_links._declared.names import Declared
from celery_otel_links._declared.spans import EVENTS, LINKS, SPANS

DOCS = Path(__file__).resolve().parents[1]
EMITTED, CONFIGURATION = DOCS / "reference" / "emitted.md", DOCS / "configuration.md"
INSTRUMENTS = {**names.HISTOGRAMS, **names.BEAT_HISTOGRAMS, **names.COUNTERS, **names.GAUGES, **names.QUEUE_GAUGES}
BEGIN = "<!-- options: written by reference/generate.py -->\n"
END = "<!-- end of options -->\n"
PAGE = """\
# Everything that is emitted

Written by `docs/reference/generate.py` from what the package declares. What stands in no table here is not emitted:
every span, metric and log event that any test produces is checked. How to read them: [what is
emitted](../instrumentation.md).

All are of the instrumentation scope `{scope}`; the metrics of a worker's main process whose children run the tasks are
of `{main_scope}`.

## Spans

{spans}
## Links

Each has the attribute `{link_kind}`, and no other.

{links}
## Attributes

{attributes}
### With `contrib_names`

With this option all that `opentelemetry-instrumentation-celery` emits is there as well. `{hostname}` is then what the
message says of its publisher.

{contrib_attributes}
## Metrics

An attribute is left out where it is not known. An instrument has 2,000 series at most; what comes beyond is in one that
has the attribute `{overflow}` alone.

### Histograms

The option `histograms` names those that are recorded.

{histograms}
Their boundaries are, in seconds, {waiting}; those of the conventions' two, {working}.

### Counters

Always on.

{counters}
### Gauges of a worker

In its main process. Which worker it is, the resource says.

{gauges}
### Gauges of queues

Observed by [`celery otel-links watch`](../watch.md).

{queue_gauges}
## Events

{events}"""


def table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown."""
    columns = list(heading)
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n".replace("|  |", "| |") for cells in lines)


def code(*texts: str) -> str:
    """Texts as code, joined with commas; those that are empty are left out."""
    return ", ".join(f"`{text}`" for text in texts if text)


def emitted() -> str:
    """The page of all that is emitted."""
    by_default = Config().histograms
    return PAGE.format(
        scope=names.SCOPE,
        main_scope=names.MAIN_SCOPE,
        link_kind=names.LINK_KIND,
        hostname=names.HOSTNAME,
        overflow=names.OVERFLOW,
        waiting=numbers(names.WAITING),
        working=numbers(names.WORKING),
        spans=table(
            ("span", "kind", "with `OTEL_SEMCONV_STABILITY_OPT_IN=messaging`", "meaning"),
            ((code(one.name), one.kind, code(one.opted), one.meaning) for one in SPANS),
        ),
        links=table(
            ("link", "of spans", "leads to"),
            ((code(kind), one.on, f"{one.meaning[0].lower()}{one.meaning[1:]}") for kind, one in LINKS.items()),
        ),
        attributes=table(ATTRIBUTE, map(attribute, ATTRIBUTES.values())),
        contrib_attributes=table(ATTRIBUTE, map(attribute, CONTRIB_ATTRIBUTES.values())),
        histograms=table(
            (*INSTRUMENT, "recorded"),
            (
                (*row, "by default" if name in by_default else WITH.get(name, "by name"))
                for name, row in instruments({**names.HISTOGRAMS, **names.BEAT_HISTOGRAMS})
            ),
        ),
        counters=table(INSTRUMENT, (row for _, row in instruments(names.COUNTERS))),
        gauges=table(INSTRUMENT, (row for _, row in instruments(names.GAUGES))),
        queue_gauges=table(INSTRUMENT, (row for _, row in instruments(names.QUEUE_GAUGES))),
        events=table(
            ("event", "what it is", "meaning", "attributes"),
            ((code(name), one.record, one.meaning, code(*on(name))) for name, one in EVENTS.items()),
        ),
    )


ATTRIBUTE = ("attribute", "type", "on", "when", "meaning")
INSTRUMENT = ("instrument", "unit", "attributes", "meaning")
WITH = {names.CONTRIB_RUNTIME: "by name, or with `contrib_names`", names.BEAT_DRIFT: "in beat"}


def attribute(one: Attribute) -> tuple[str, ...]:
    """The row of an attribute."""
    measured = any(one.name in instrument.attributes for instrument in INSTRUMENTS.values())
    places = [place for place in one.on if place != METRIC and place not in EVENTS]
    events = [code(place) for place in one.on if place in EVENTS]
    on = ", ".join([*places, *events, *(["metrics"] if measured or METRIC in one.on else [])])
    kind = one.type.replace(" | ", " or ") + (f", {one.unit}" if one.unit else "")
    values = f" One of {code(*one.values)}." if len(one.values) > 1 else ""
    return code(one.name), kind, on, one.when, one.meaning + values


def instruments(declared: dict[str, Declared]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The rows of instruments, with their names."""
    for name, one in declared.items():
        yield name, (code(name), code(one.unit), code(*one.attributes), one.description)


def on(event: str) -> list[str]:
    """The attributes of an event."""
    return [one.name for one in ATTRIBUTES.values() if event in one.on]


def numbers(values: Iterable[float]) -> str:
    """Numbers in a sentence."""
    return ", ".join(f"{value:g}" for value in values)


def options() -> str:
    """The table of options."""
    return table(
        ("key", "default", "meaning", "in the environment"),
        (
            (code(one.name), code(repr(one.default).replace("'", '"')), one.meaning, code(one.text or ""))
            for one in OPTIONS.values()
        ),
    )


def pages() -> dict[Path, str]:
    """Every page that is written, and what it is to be."""
    configuration = CONFIGURATION.read_text()
    block = re.compile(f"(?<={re.escape(BEGIN)}\n).*?(?=\n{re.escape(END)})", re.DOTALL)
    return {EMITTED: emitted(), CONFIGURATION: block.sub(lambda _: options(), configuration)}


def main() -> int:
    """Write the pages, or check them."""
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text() != text}
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(DOCS)} is not what is declared: run python docs/reference/generate.py")
        return bool(stale)
    for path, text in stale.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
