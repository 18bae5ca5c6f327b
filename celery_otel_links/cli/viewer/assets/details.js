// What stands beside the rows: one span with its sentences, its relations and its attributes; and a row's own texts.

/** A link as a chip that can be clicked: `→ A2` where it leads on, `← A` where it leads back. */
function chips(span, trace, book, words) {
  const forth = { consumer: "→", producer: "←", origin: "⇤", "previous-attempt": "↑", header: "⇠" };
  const shown = span.l.filter(([t, , kind]) => kind !== "origin" || !span.l.some((one) => one[2] === "producer" && one[0] === t));
  const made = shown.slice(0, 3).map(([t, s, kind]) => {
    const there = book.spans.get(`${t}.${s}`), label = book.traces.get(t)?.label;
    const what = `${words.links[kind] || kind}: ${there ? there.n : "not received"}${label ? " in trace " + label : ""}`;
    const short = kind === "previous-attempt" && there ? `attempt ${there.attempt}` : label || t.slice(0, 6);
    const text = h`<span aria-hidden="true">${forth[kind] || "↔"}</span> ${short}`;
    return there ? h`<a class="chip" href="#${t}.${s}" aria-label="${short}: ${what}" title="${what}" tabindex="-1">${text}</a>` : h`<span class="chip gone" title="${what}">${text}</span>`;
  });
  return shown.length > 3 ? h`${made}<span class="chip gone">+ ${shown.length - 3}</span>` : h`${made}`;
}

function rowCells(row, book, words) {
  if (row.type === "more") return h`<span role="gridcell" class="wide"><button type="button" class="more" tabindex="-1">${row.text}</button></span>`;
  const turn = row.expandable ? h`<span class="turn" aria-hidden="true">${row.open ? "▾" : "▸"}</span>` : h`<span class="turn"></span>`;
  if (row.type === "trace") {
    const { trace } = row;
    return h`<span role="gridcell" class="wide">${turn}<b class="label">${trace.label}</b> <span class="why">${whyTrace(trace, words)}</span>${row.open ? "" : h` <span class="count">${counted(trace.spans.length, "span")}</span>`}</span>`;
  }
  if (row.type === "fold") return foldCells(row, turn);
  const { span } = row;
  const marks = badges(span).map(([text, bad]) => h`<span class="badge${bad ? " bad" : ""}">${text}</span>`);
  const waits = span.run && span.wait.queue !== null ? duration(span.wait.queue) : "";
  return h`<span role="gridcell" class="name">${turn}<span class="text">${span.n}</span>${marks}<span class="chips">${chips(span, row.trace, book, words)}</span></span>
<span role="gridcell" class="num waited">${waits}</span><span role="gridcell" class="num ran">${duration(span.e - span.b)}</span>`;
}

function foldCells(row, turn) {
  const spans = row.entry.members.flatMap((member) => (member.spans ? member.roots : [member]));
  const waits = spans.map((span) => span.wait.queue).filter((seconds) => seconds !== null);
  const bad = spans.filter((span) => span.bad).length;
  const range = waits.length ? `${duration(Math.max(...waits))}` : "";
  const traces = row.entry.members[0].spans ? ` · ${counted(spans.length, "trace")}, ${spans[0].mode || "linked"} (${spans[0].reason || "?"})` : "";
  return h`<span role="gridcell" class="name">${turn}<b class="times">${spans.length.toLocaleString("en")} ×</b><span class="text">${spans[0].n}</span>${bad ? h`<span class="badge bad">${counted(bad, "problem")}</span>` : ""}<span class="why">${traces}</span></span>
<span role="gridcell" class="num waited">${range ? "≤ " + range : ""}</span><span role="gridcell" class="num ran"></span>`;
}

/** The panel. */
function details(span, book, words) {
  const trace = book.traces.get(span.t);
  const parent = span.parent ? link(span.parent, span.parent.n) : span.p ? `${span.p}, not received` : "none: this is the root of its trace";
  const links = span.l.map(([t, s, kind]) => relation(words.links[kind] || kind, book, t, s));
  const below = (trace.children.get(span.key) || []).slice(0, 20).map((child) => h`<dt>child</dt><dd>${link(child, child.n)}</dd>`);
  const backs = [...book.spans.values()].filter((other) => other.l.some(([t, s, kind]) => t === span.t && s === span.s && kind !== "consumer" && kind !== "producer"));
  const names = { "previous-attempt": "the next attempt", header: "header task of", origin: "began the story of" };
  const from = backs.slice(0, 20).map((other) => relation(names[other.l.find(([t, s]) => t === span.t && s === span.s)[2]] || "linked from", book, other.t, other.s));
  const attributes = Object.entries(span.a).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => h`<dt>${broken(name)}</dt><dd>${broken(plainly(value))}</dd>`);
  return h`<button type="button" id="close" aria-label="Close">×</button>
<h2>${span.n}</h2>
${told(span, words)}
<h3>Relations</h3>
<dl><dt>trace</dt><dd>${trace.label} <code>${span.t}</code></dd><dt>span</dt><dd><code>${span.s}</code></dd><dt>parent</dt><dd>${parent}</dd>${links}${from}${below}</dl>
<h3>Attributes</h3>
<dl class="attributes">${span.v ? h`<dt>service.name</dt><dd>${span.v}</dd>` : ""}${attributes}</dl>`;
}

const broken = (text) => String(text).split(/(?<=[._/])/).map((part) => h`${part}<wbr>`);
const plainly = (value) => (typeof value === "number" ? +value.toFixed(6) : typeof value === "object" ? JSON.stringify(value) : value);

function relation(kind, book, t, s) {
  const there = book.spans.get(`${t}.${s}`), label = book.traces.get(t)?.label;
  return h`<dt>${kind}</dt><dd>${there ? h`${link(there, there.n)} in ${label}` : h`<code>${t}</code>, not received`}</dd>`;
}

function told(span, words) {
  const took = duration(span.e - span.b);
  if (!span.run) return h`<p>${span.k === "producer" ? `Publishing the message took ${took}.` : `It took ${took}.`} ${span.m}</p>${span.mode && span.k === "producer" ? h`<p>What it publishes: ${whyRun(span, words)}</p>` : ""}`;
  const never = ["EXPIRED", "REVOKED", "UNKNOWN"].includes(span.state);
  const state = span.killed ? "Its process was killed" : never ? `It never ran: ${words.states[span.state]}` : `It ${words.states[span.state] || "ran"}`;
  const error = span.error ? ` (${span.error}${span.m ? ": " + span.m : ""})` : "";
  return h`${waitBar(span)}<p>${waited(span)} ${state}${never ? "" : ` after ${took}`}${span.attempt > 1 ? `, as attempt ${span.attempt}` : ""}${error}.</p><p>${whyRun(span, words)}</p>`;
}

function waitBar(span) {
  const parts = [...["scheduled", "broker", "prefetch"].map((part) => [part, span.wait[part] || 0]), [span.bad ? "failed" : "consumer", span.e - span.b]];
  const whole = parts.reduce((sum, [, seconds]) => sum + seconds, 0) || 1;
  let x = 0;
  const rects = parts.map(([part, seconds]) => {
    const width = (seconds / whole) * 100, left = x;
    x += width;
    return width > 0 ? h`<rect class="${part}" x="${left.toFixed(2)}%" y="0" width="${Math.max(width, 0.6).toFixed(2)}%" height="12"/>` : "";
  });
  return h`<svg class="parts" height="12" aria-hidden="true">${rects}</svg>`;
}
