// A story as rows: traces, their spans as a tree, alike ones folded.

const FOLD_BEYOND = 12; // so many siblings of one name stand on their own
const CHUNK = 100; // members of a fold that are added by one click

/** What is open: by the id of the row; spans and traces are open at first, folds are not. */
class Folds {
  constructor() {
    this.open = new Map();
    this.more = new Map(); // how many members of a fold are shown
  }
  isOpen(id, atFirst) { return this.open.get(id) ?? atFirst; }
  set(id, open) { this.open.set(id, open); }
  shown(id, atFirst) { return this.more.get(id) ?? atFirst; }
  showMore(id, step) { this.more.set(id, this.shown(id, step) + step); }
}

/** Alike neighbours as one entry `{fold, members}`; everything else as it is. */
function folded(items, nameOf, idOf) {
  const byName = new Map();
  for (const item of items) {
    const name = nameOf(item);
    if (byName.has(name)) byName.get(name).push(item);
    else byName.set(name, [item]);
  }
  if (items.length <= FOLD_BEYOND) return items.map((item) => ({ item }));
  const placed = new Set();
  return items.flatMap((item) => {
    const name = nameOf(item), members = byName.get(name);
    if (members.length <= FOLD_BEYOND) return [{ item }];
    if (placed.has(name)) return [];
    placed.add(name);
    return [{ fold: idOf(name), name, members }];
  });
}

/** Which spans a filter leaves: those that match, and what leads to them. `null` for all. */
function kept(story, book, matches) {
  if (!matches) return null;
  const matching = new Set(), around = new Set();
  const above = (span) => { for (let s = span; s && !around.has(s); s = s.parent) around.add(s); };
  for (const span of story.runs) {
    if (!matches(span)) continue;
    matching.add(span);
    above(span);
    for (const [t, s, kind] of span.l) if (kind === "producer") above(book.spans.get(t + "." + s));
  }
  return { matching, around };
}

/** All rows that are to be seen, in order. */
function rowsOf(story, folds, keep) {
  const rows = [];
  const wanted = (span) => !keep || keep.around.has(span);
  const traces = story.traces.filter((trace) => !keep || trace.spans.some(wanted));
  const [own, others] = [traces.filter((t) => t === story.traces[0]), traces.filter((t) => t !== story.traces[0])];
  const entries = [...own.map((item) => ({ item })), ...alike(others, story)];
  const left = []; // a stack: a chain of 20,000 tasks is 20,000 levels deep
  const push = (list, level, ofTrace) => {
    for (let i = list.length - 1; i >= 0; i--) left.push({ ...list[i], level, position: i + 1, size: list.length, ofTrace });
  };
  push(entries, 1, null);
  while (left.length) {
    const entry = left.pop();
    const { level, position, size, ofTrace } = entry;
    const place = { level, position, size };
    if (entry.more) rows.push({ ...place, type: "more", id: entry.more, text: entry.text });
    else if (entry.fold) {
      const open = folds.isOpen(entry.fold, false), shown = folds.shown(entry.fold, CHUNK);
      rows.push({ ...place, type: "fold", id: entry.fold, entry, ofTrace, expandable: true, open });
      const members = entry.members.slice(0, shown).map((item) => ({ item }));
      const rest = entry.members.length - members.length;
      if (rest > 0) members.push({ more: entry.fold, text: `Show ${Math.min(CHUNK, rest)} more of ${rest.toLocaleString("en")}` });
      if (open) push(members, level + 1, ofTrace);
    } else if (!ofTrace) {
      const trace = entry.item, open = folds.isOpen(trace.id, true);
      rows.push({ ...place, type: "trace", id: trace.id, trace, expandable: true, open });
      if (open) push(children(trace.roots.filter(wanted), trace.id), level + 1, trace);
    } else {
      const span = entry.item, below = (ofTrace.children.get(span.key) || []).filter(wanted), open = folds.isOpen(span.key, true);
      rows.push({ ...place, type: "span", id: span.key, span, trace: ofTrace, expandable: below.length > 0, open, dimmed: keep && !keep.matching.has(span) });
      if (open && below.length) push(children(below, span.key), level + 1, ofTrace);
    }
  }
  return rows;
}

function alike(traces, story) {
  return folded(traces, ({ roots: [root] }) => `${root.n} ${root.mode} ${root.reason}`, (name) => `${story.id}/${name}`);
}

function children(spans, parent) {
  return folded(spans, (span) => span.n, (name) => `${parent}/${name}`);
}

/** Open everything above a span, so that it has a row. */
function reveal(span, trace, folds) {
  const story = trace.story;
  const unfold = (entries, item) => {
    const fold = entries.find((entry) => entry.members?.includes(item));
    if (!fold) return;
    folds.set(fold.fold, true);
    while (fold.members.indexOf(item) >= folds.shown(fold.fold, CHUNK)) folds.showMore(fold.fold, CHUNK);
  };
  unfold(alike(story.traces.slice(1), story), trace);
  folds.set(trace.id, true);
  for (let s = span; s; s = s.parent) {
    if (s !== span) folds.set(s.key, true);
    unfold(s.parent ? children(trace.children.get(s.parent.key), s.parent.key) : children(trace.roots, trace.id), s);
  }
}
