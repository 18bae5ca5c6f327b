// Spans in, stories out: a story is a request's trace and all traces that link back to it.

const NEAREST = ["origin", "producer", "previous-attempt", "header"]; // which link leads back, the most direct first
const KILLED = /(WorkerLostError|TimeLimitExceeded)$/;

/** A span as it came, with what everything else here asks of it. */
function read(span) {
  const a = span.a;
  const wait = (part) => (typeof a["celery.latency." + part] === "number" ? a["celery.latency." + part] : null);
  span.key = span.t + "." + span.s;
  span.run = span.k === "consumer";
  span.task = String(a["celery.task_name"] || span.n.split("/").slice(1).join("/"));
  span.mode = a["celery.propagation.mode"] || "";
  span.reason = a["celery.propagation.reason"] || "";
  span.attempt = (a["celery.retries"] || 0) + 1;
  span.error = String(a["error.type"] || "");
  span.killed = KILLED.test(span.error);
  span.state = span.killed ? "KILLED" : String(a["celery.state"] || (span.x ? "FAILURE" : ""));
  span.bad = span.x || ["EXPIRED", "REVOKED"].includes(span.state);
  span.wait = { all: wait("enqueue_to_start"), scheduled: wait("scheduled"), queue: wait("queue"), broker: wait("broker"), prefetch: wait("prefetch") };
  span.published = span.b - (span.wait.all || 0);
  return span;
}

class Book {
  constructor() {
    this.spans = new Map();
    this.order = [];
    this.first = 0; // the number of the oldest that is held
    this.arrange();
  }

  clear() { Object.assign(this, new Book()); }

  /** Take spans in, and forget those before the number `first`; `settle` then arranges them. */
  add(spans, first = 0) {
    for (const span of spans) {
      read(span);
      this.spans.set(span.key, span);
      this.order.push(span);
    }
    for (; this.first < first; this.first++) {
      const gone = this.order.shift();
      if (gone && this.spans.get(gone.key) === gone) this.spans.delete(gone.key);
    }
    this.stale = true;
  }

  settle() {
    if (this.stale) this.arrange();
  }

  /** Stories, newest last; each has traces, and each trace its tree. */
  arrange() {
    this.stale = false;
    this.traces = new Map();
    for (const span of this.spans.values()) {
      if (!this.traces.has(span.t)) this.traces.set(span.t, { id: span.t, spans: [], children: new Map(), roots: [] });
      this.traces.get(span.t).spans.push(span);
    }
    for (const trace of this.traces.values()) this.grow(trace);
    const byOrigin = new Map();
    for (const trace of [...this.traces.values()].sort((a, b) => a.begin - b.begin)) {
      const id = this.origin(trace);
      if (!byOrigin.has(id)) byOrigin.set(id, []);
      byOrigin.get(id).push(trace);
    }
    const times = new Map();
    this.stories = [...byOrigin].map(([id, traces], number) => {
      traces.sort((a, b) => (a.id !== id) - (b.id !== id)); // the request's own trace first; stable
      const root = traces[0].roots[0];
      const story = { id, traces, title: root.p ? root.n + " …" : root.n, number };
      story.spans = traces.flatMap((trace) => trace.spans);
      story.runs = story.spans.filter((span) => span.run);
      story.begin = traces.reduce((least, trace) => Math.min(least, trace.begin), Infinity);
      story.end = traces.reduce((most, trace) => Math.max(most, trace.end), -Infinity);
      story.time = times.get(story.title) || 0; // 0 for the first POST /checkout, 1 for the second, …
      times.set(story.title, story.time + 1);
      traces.forEach((trace, index) => {
        trace.label = letters(number) + (index || "");
        trace.story = story;
      });
      return story;
    });
  }

  grow(trace) {
    trace.spans.sort((a, b) => a.b - b.b);
    trace.begin = Infinity;
    trace.end = -Infinity;
    for (const span of trace.spans) {
      const parent = span.p !== span.s && this.spans.get(span.t + "." + span.p);
      span.parent = parent || null;
      if (!parent) trace.roots.push(span);
      else if (trace.children.has(parent.key)) trace.children.get(parent.key).push(span);
      else trace.children.set(parent.key, [span]);
      trace.begin = Math.min(trace.begin, span.published);
      trace.end = Math.max(trace.end, span.e);
    }
    if (!trace.roots.length) { // spans that are each other's parents
      trace.roots.push(trace.spans[0]);
      trace.spans[0].parent = null;
    }
  }

  origin(trace) {
    const visited = [trace.id];
    for (let here = trace; here; here = this.traces.get(visited.at(-1))) {
      const links = here.roots.filter((root) => root.run && !root.p).flatMap((root) => root.l);
      const back = NEAREST.flatMap((kind) => links.filter((link) => link[2] === kind))[0];
      if (!back || visited.includes(back[0])) break;
      visited.push(back[0]);
    }
    return visited.at(-1);
  }

  story(key) {
    return this.traces.get(key.split(".")[0])?.story;
  }
}

function letters(number) {
  return (number < 26 ? "" : letters(Math.floor(number / 26) - 1)) + String.fromCharCode(65 + (number % 26));
}

/** The story of the same request in another run: the same title, and as many of that title before it. */
function counterpart(story, other) {
  return other.stories.find((one) => one.title === story.title && one.time === story.time);
}
