"""Stories as one HTML file: a waterfall in plain SVG per story, links as dashed arrows. No script, nothing to fetch."""

from html import escape

from example_project.demo.record import Span
from example_project.demo.stories import Stories, Story, Trace
from example_project.demo.trees import milliseconds, why

ROW, TRACE_GAP, AXIS = 20, 14, 26
NAME_WIDTH, BAR_WIDTH, NUMBER_WIDTH = 330, 640, 190
WIDTH = NAME_WIDTH + BAR_WIDTH + NUMBER_WIDTH

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A small shop, traced</title><style>
body {{ font: 14px/1.45 system-ui, sans-serif; color: #1d2433; background: #fff }}
body {{ margin: 2em auto; max-width: {width}px }}
h1 {{ font-size: 1.5em; margin-bottom: .2em }} h2 {{ font-size: 1.1em; margin: 2em 0 .3em }} p {{ color: #5b6475 }}
svg {{ width: 100%; height: auto }} text {{ font: 12px ui-monospace, monospace; fill: #1d2433 }}
.dim {{ fill: #7b8496 }} .label {{ font-weight: bold; fill: #0b7285 }}
.band {{ fill: #f5f7fa }} .grid {{ stroke: #e3e7ee }} .internal, .client {{ fill: #98a1b3 }}
.server {{ fill: #9c5fb5 }} .producer {{ fill: #4c7edb }} .consumer {{ fill: #2f9e5f }} .error {{ fill: #d6453d }}
.scheduled {{ fill: #e9ecf2 }} .broker {{ fill: #fbdc8b }} .prefetch {{ fill: #f2a65a }}
.link {{ fill: none; stroke: #0b7285; stroke-width: 1.3; stroke-dasharray: 5 3; marker-end: url(#tip) }}
.link.origin {{ opacity: .3 }} .link:hover {{ stroke-width: 3; opacity: 1 }} .tip {{ fill: #0b7285 }}
i {{ display: inline-block; width: 1em; height: .8em }}
</style></head><body><h1>A small shop, traced</h1>
<p>A box is a trace; a dashed arrow is a link, from the span that holds it
(two heads: each links to the other). Point at anything for more.<br>
{legend}</p>
{stories}</body></html>
"""
LEGEND = (
    ("request", "#9c5fb5"), ("publish", "#4c7edb"), ("run", "#2f9e5f"), ("asked to wait", "#e9ecf2"),
    ("in the broker", "#fbdc8b"), ("prefetched by the worker", "#f2a65a"),
)  # fmt: skip


def html(stories: Stories) -> str:
    """The whole page."""
    legend = " &nbsp; ".join(f'<i style="background:{colour}"></i> {name}' for name, colour in LEGEND)
    drawn = "\n".join(f"<h2>{escape(story.title)}</h2>\n{_svg(story)}" for story in stories)
    return PAGE.format(width=WIDTH, legend=legend, stories=drawn)


def _svg(story: Story) -> str:
    begin = min(trace.begin for trace in story.traces)
    end = max(trace.end for trace in story.traces)
    scale = (BAR_WIDTH - 8) / max(end - begin, 1e-6)
    places: dict[tuple[str, str], tuple[float, float]] = {}  # where each span's bar begins
    boxes, top = [], float(AXIS)
    for trace in story.traces:
        rows = list(trace.walk())
        boxes.append(f'<rect class="band" x="0" y="{top - 3}" width="{WIDTH}" height="{ROW * len(rows) + 6}" rx="4"/>')
        boxes.append(f'<text class="label" x="6" y="{top + 14}">{trace.label}</text>')
        for span, guide in rows:
            left = NAME_WIDTH + (span.start - begin) * scale
            places[span.trace_id, span.span_id] = left, top + ROW / 2
            boxes += _row(span, trace, left, top, 36 + 4.2 * len(guide), scale)
            top += ROW
        top += TRACE_GAP
    links = {
        ((span.trace_id, span.span_id), (link.trace_id, link.span_id)): (link.kind, span.name)
        for trace in story.traces
        for span in trace.spans
        for link in span.links
        if (link.trace_id, link.span_id) in places
    }
    arrows = [
        _arrow(places[source], places[target], kind, name, both_ways=(target, source) in links)
        for (source, target), (kind, name) in links.items()
        if not (kind == "consumer" and (target, source) in links)
    ]
    parts = [*_axis(end - begin, scale, top), *boxes, *arrows]
    return f'<svg viewBox="0 0 {WIDTH} {top}" xmlns="http://www.w3.org/2000/svg">{TIP}{"".join(parts)}</svg>'


TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
    ' orient="auto-start-reverse">'
    '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
)


def _row(span: Span, trace: Trace, left: float, top: float, indent: float, scale: float) -> list[str]:
    title = f"<title>{escape(_story_of(span, trace))}</title>"
    parts = [f'<text x="{indent:.1f}" y="{top + 14}">{escape(span.name)}{title}</text>']
    at = left - (span.latency("enqueue_to_start") or 0) * scale
    for part in ("scheduled", "broker", "prefetch"):
        width = (span.latency(part) or 0) * scale
        if width >= 0.5:
            parts.append(_box(part, at, top + 6, width, 8, f"{part}: {milliseconds(span.latency(part))}"))
        at += width
    kind = "error" if span.error else span.kind
    parts.append(_box(kind, left, top + 3, max(2.5, (span.end - span.start) * scale), 14, _story_of(span, trace)))
    if span.is_run and span.latency("queue") is not None:
        numbers = f"waited {milliseconds(span.latency('queue'))}, ran {milliseconds(span.end - span.start)}"
        parts.append(f'<text class="dim" x="{WIDTH - 6}" y="{top + 14}" text-anchor="end">{numbers}</text>')
    return parts


def _box(kind: str, left: float, top: float, width: float, height: float, title: str) -> str:
    shape = f'class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height}" rx="2"'
    return f"<rect {shape}><title>{escape(title)}</title></rect>"


def _story_of(span: Span, trace: Trace) -> str:
    mode = f"\n{why(span)}" if span.is_run else ""
    return f"{span.name} in {span.service}, {milliseconds(span.end - span.start)}\ntrace {trace.trace_id}{mode}"


def _arrow(source: tuple[float, float], target: tuple[float, float], kind: str, name: str, both_ways: bool) -> str:
    (x1, y1), (x2, y2) = source, target
    bend = max(14.0, min(60.0, abs(y2 - y1) / 3))
    path = f"M{x1 - 1:.1f} {y1:.1f}C{x1 - bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2 - 1:.1f} {y2:.1f}"
    back = ' marker-start="url(#tip)"' if both_ways else ""
    return (
        f'<path class="link {escape(kind)}" d="{path}"{back}><title>{escape(f"{kind} link of {name}")}</title></path>'
    )


def _axis(seconds: float, scale: float, bottom: float) -> list[str]:
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if seconds / s <= 8), 10)
    parts = []
    for tick in range(int(seconds / step) + 1):
        x = NAME_WIDTH + tick * step * scale
        label = milliseconds(tick * step) if tick else "0"
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="16" y2="{bottom}"/>')
        parts.append(f'<text class="dim" x="{x:.1f}" y="12" text-anchor="middle">{label}</text>')
    return parts
