// What a person reads. Everything that comes from a span passes through `h`, which escapes it.

const ESCAPED = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** A template whose values are escaped, except for what `h` has made itself. */
function h(strings, ...values) {
  const text = (value) =>
    value instanceof Markup ? value.html : Array.isArray(value) ? value.map(text).join("") : String(value ?? "").replace(/[&<>"']/g, (c) => ESCAPED[c]);
  return new Markup(strings.reduce((all, part, i) => all + text(values[i - 1]) + part));
}
class Markup {
  constructor(html) { this.html = html; }
  toString() { return this.html; }
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds >= 5970) return (seconds / 3600).toFixed(1) + " h";
  if (seconds >= 99.95) return (seconds / 60).toFixed(1) + " min";
  if (seconds >= 0.9995) return seconds.toFixed(2) + " s";
  return (seconds * 1000).toFixed(seconds < 0.00995 ? 1 : 0) + " ms";
}
const counted = (number, one, many = one + "s") => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const link = (span, text) => h`<a href="#${span.key}">${text}</a>`;

/** `failed`, `attempt 2 of its task`: what is no ordinary success, as short texts for a row. */
function badges(span) {
  if (!span.run) return span.x ? [["failed", true]] : [];
  const found = [];
  if (span.attempt > 1) found.push(["attempt " + span.attempt, false]);
  const names = { KILLED: "killed", FAILURE: "failed", RETRY: "retry", EXPIRED: "expired", REVOKED: "revoked", TERMINATED: "terminated", UNKNOWN: "no such task", REJECTED: "rejected", IGNORED: "ignored" };
  if (names[span.state]) found.push([names[span.state], span.bad]);
  return found;
}

/** Why a trace is one of its own. */
function whyTrace(trace, words) {
  const root = trace.roots[0];
  if (trace.story.traces[0] === trace) {
    if (!root.run) return "the request’s own trace";
    if (root.p) return "its publisher’s span was not received";
  }
  if (!root.run || !root.mode) return "own trace";
  const reason = words.reasons[root.reason] || root.reason;
  return root.mode === "none" ? `own trace, without a link: ${reason}` : `own trace: ${reason}`;
}

function whyRun(span, words) {
  if (!span.mode) return "";
  const mode = words.modes[span.mode] || span.mode;
  return `${mode}: ${words.reasons[span.reason] || span.reason}.`;
}

const PLACES = {
  broker: "in the broker, until a worker took it",
  prefetch: "in the worker, which had taken it but had no free process",
  scheduled: "because it was asked to (countdown, ETA)",
};
function longest(span) {
  return (span.wait.broker || 0) >= (span.wait.prefetch || 0) ? "broker" : "prefetch";
}
function waited(span) {
  const parts = ["scheduled", "broker", "prefetch"].filter((part) => span.wait[part] >= 0.0005).map((part) => `${duration(span.wait[part])} ${PLACES[part]}`);
  if (span.wait.all === null) return "How long it waited is not known.";
  return parts.length ? `It waited ${parts.join(", then ")}.` : "It did not wait.";
}

/** The answer in two sentences: what the request caused, how long that took, and what went wrong. */
function headline(story) {
  const own = story.traces[0], root = own.roots[0], runs = story.runs;
  const never = runs.filter((span) => ["EXPIRED", "REVOKED", "UNKNOWN"].includes(span.state));
  const tasks = new Set(runs.map((span) => span.task)).size;
  const begin = root.p ? h`The request’s own span has not been received` : h`${root.run ? "This run" : "The request"} took <b>${duration(root.e - root.b)}</b>`;
  if (!runs.length) return h`${begin}${root.p ? "" : " and caused no task"}.`;
  const where = story.traces.length > 1 ? h`in <b>${counted(story.traces.length, "trace")}</b>` : h`in <b>one trace</b>`;
  const what = h`${root.p ? "; it" : " and"} caused <b>${counted(runs.length, "run")}</b> of ${counted(tasks, "task")} ${where}, the last of which ended <b>${duration(story.end - root.b)}</b> after it began. `;
  const slow = runs.reduce((worst, span) => ((span.wait.queue || 0) > (worst?.wait.queue || 0) ? span : worst), null);
  const wait = slow ? h`The longest wait that nobody asked for: ${link(slow, slow.task)}, <b>${duration(slow.wait.queue)}</b>, ${PLACES[longest(slow)]}. ` : "";
  return h`${begin}${what}${wait}${wrong(runs, never)}`;
}

function wrong(runs, never) {
  const groups = [["killed", runs.filter((s) => s.killed)], ["failed", runs.filter((s) => s.state === "FAILURE")], ["tried again", runs.filter((s) => s.state === "RETRY")], ["never run", never]];
  const said = groups.filter(([, spans]) => spans.length).map(([name, spans]) => h`${spans.length} ${name} (${link(spans[0], spans[0].task)})`);
  return said.length ? h`${said.map((one, i) => (i ? h`, ${one}` : one))}.` : "";
}

/** Linked and not linked, in numbers of both runs. */
function comparison(linked, joined, showsJoined) {
  const own = linked.traces[0], one = joined.traces[0];
  const size = (trace) => `${counted(trace.spans.length, "span")} over ${duration(trace.end - trace.begin)}`;
  const others = counted(linked.traces.length - 1, "other trace");
  return showsJoined
    ? h`The same request in a second run, with every task in child mode, which is how it looks without links: <b>${counted(joined.traces.length, "trace")} of ${size(one)}</b>, open until the last task ends. Linked, the request’s own trace holds ${size(own)}.`
    : h`The request’s own trace holds <b>${size(own)}</b>; the rest is in ${others}, one click away. As one trace it was ${size(one)}.`;
}
