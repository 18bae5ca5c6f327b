// The bars of all rows and the arrows of their links, on one time axis: one SVG, a text that the browser parses once.

const STEPS = [1, 2, 5];
const MOST_ARROWS = 40; // beyond, only those of the selected row
const BINS = 60;

/** The part of a story that is drawn, in seconds from its begin. */
class View {
  constructor() { this.reset(); }
  reset(seconds = 1) {
    this.whole = Math.max(seconds, 1e-4);
    [this.from, this.to] = [0, this.whole * 1.02];
  }
  grow(seconds) { // of a story that goes on
    if (this.from === 0 && this.to >= this.whole) this.reset(seconds);
    else this.whole = Math.max(seconds, 1e-4);
  }
  set(from, to) {
    const length = Math.min(Math.max(to - from, 1e-4), this.whole * 1.02);
    this.from = Math.min(Math.max(0, from), this.whole * 1.02 - length);
    this.to = this.from + length;
  }
  zoom(factor, at = (this.from + this.to) / 2) {
    this.set(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }
  move(share) {
    const by = (this.to - this.from) * share;
    this.set(this.from + by, this.to + by);
  }
  x(seconds, width) { return ((seconds - this.from) / (this.to - this.from)) * width; }
}

function ticks(view, width) {
  const most = Math.max(2, Math.floor(width / 70)), raw = (view.to - view.from) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = (STEPS.find((one) => one * power >= raw) || 10) * power;
  const found = [];
  for (let n = Math.ceil(view.from / step); n * step <= view.to; n++) found.push(n * step);
  return { step, found };
}

function axis(view, width) {
  const { step, found } = ticks(view, width);
  const digits = step >= 1 ? 0 : Math.min(4, Math.ceil(-Math.log10(step)));
  const name = (s) => (s === 0 ? "0" : view.to < 1 ? +(s * 1000).toFixed(1) + " ms" : s.toFixed(digits) + " s");
  return found.map((s) => {
    const x = view.x(s, width), end = x > width - 30 ? "end" : x < 20 ? "start" : "middle";
    return `<text x="${Math.min(Math.max(x, 0), width)}" y="17" text-anchor="${end}">${name(s)}</text>`;
  }).join("");
}

/** Bars and arrows of the rows from `first` to `last`; `size` is {width, row: its height, middle: of its bars}. */
function chart(story, rows, view, selected, size, { first, last }) {
  const parts = [`<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="prefetch" width="5" height="5"/><rect class="gap" width="1.6" height="5"/></pattern>
<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>`];
  for (const s of ticks(view, size.width).found) {
    const x = view.x(s, size.width).toFixed(1);
    parts.push(`<path class="grid" d="M${x} 0V${(last - first) * size.row}"/>`);
  }
  const place = new Map();
  rows.forEach((row, index) => {
    const y = (index - first) * size.row + size.middle, seen = index >= first && index < last;
    if (row.type === "span") {
      place.set(row.span.key, { row, y });
      if (seen) parts.push(bars(row.span, story.begin, view, y, size.width, row.dimmed));
    } else if (row.type === "fold") {
      const spans = row.entry.members.flatMap((member) => (member.spans ? member.roots : [member]));
      for (const span of row.open ? [] : spans) place.set(span.key, { row, y });
      if (seen) parts.push(density(spans, story.begin, view, y, size.width));
    } else if (row.type === "trace" && !row.open) {
      for (const span of row.trace.spans) place.set(span.key, { row, y });
    }
  });
  parts.push(...arrows(story, place, view, selected, size));
  return parts.join("");
}

function bars(span, begin, view, y, width, dimmed) {
  let at = span.published - begin, drawn = "";
  for (const part of ["scheduled", "broker", "prefetch"]) {
    const seconds = span.wait[part] || 0;
    drawn += bar(part, at, at + seconds, view, y - 4, 8, width, 0);
    at += seconds;
  }
  const kind = span.bad ? "failed" : ["server", "producer", "consumer"].includes(span.k) ? span.k : "other";
  drawn += bar(kind, span.b - begin, span.e - begin, view, y - 8, 16, width, 3);
  return dimmed ? `<g class="dimmed">${drawn}</g>` : drawn;
}

function bar(kind, from, to, view, y, height, width, least) {
  const left = Math.max(-2, view.x(from, width)), right = Math.min(width + 2, view.x(to, width));
  if (left > width || right < 0 || (right - left < 0.4 && !least)) return "";
  return `<rect class="${kind}" x="${left.toFixed(1)}" y="${y}" width="${Math.max(least, right - left).toFixed(1)}" height="${height}" rx="2"/>`;
}

/** Many spans as one row: how many began when. */
function density(spans, begin, view, y, width) {
  const counts = new Map();
  for (const span of spans) {
    const bin = Math.floor((view.x(span.b - begin, width) / width) * BINS);
    if (bin >= 0 && bin < BINS) counts.set(bin, (counts.get(bin) || 0) + 1);
  }
  const most = Math.max(...counts.values()), kind = spans[0].k === "producer" ? "producer" : "consumer";
  const size = width / BINS;
  return [...counts].map(([bin, count]) => {
    const height = 3 + (13 * count) / most;
    return `<rect class="${kind}" x="${(bin * size).toFixed(1)}" y="${(y + 8 - height).toFixed(1)}" width="${(size - 1).toFixed(1)}" height="${height.toFixed(1)}"/>`;
  }).join("");
}

/** From cause to effect; a pair of links that lead to each other is one arrow. */
function arrows(story, place, view, selected, size) {
  const found = new Map();
  for (const span of story.spans) {
    if (!place.has(span.key)) continue;
    for (const [t, s, kind] of span.l) {
      const other = t + "." + s, [cause, effect] = kind === "consumer" ? [span.key, other] : [other, span.key];
      const chosen = selected && (selected === cause || selected === effect);
      if (!place.has(other) || (kind === "origin" && !chosen)) continue;
      found.set(cause + effect, { cause: place.get(cause), effect: place.get(effect), chosen });
    }
  }
  const all = [...found.values()].filter((one) => one.cause.row !== one.effect.row);
  const drawn = all.length > MOST_ARROWS ? all.filter((one) => one.chosen) : all;
  return drawn.sort((a, b) => a.chosen - b.chosen).map(({ cause, effect, chosen }) => {
    const end = (row) => (row.type === "span" ? row.span.e : row.trace ? row.trace.end : story.begin) - story.begin;
    const start = (row) => (row.type === "span" ? row.span.b : row.trace ? row.trace.begin : story.begin) - story.begin;
    const x1 = view.x(Math.min(end(cause.row), Math.max(start(cause.row), start(effect.row))), size.width), x2 = view.x(start(effect.row), size.width);
    const [y1, y2] = [cause.y + (effect.y > cause.y ? 8 : -8), effect.y];
    const bend = Math.max(10, Math.min(60, Math.abs(x2 - x1) / 2));
    return `<path class="arrow${chosen ? " chosen" : ""}" marker-end="url(#tip)" d="M${x1.toFixed(1)} ${y1}C${x1.toFixed(1)} ${y1 + (y2 > y1 ? 22 : -22)} ${(x2 - bend).toFixed(1)} ${y2} ${(x2 - 1).toFixed(1)} ${y2}"/>`;
  });
}
