// The page: what is selected and filtered, how it is drawn, and how one gets somewhere.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { words } = data;
const shown = new Book(), before = new Book();
const state = { story: null, joined: false, selected: null, landed: null, follow: true, trail: [], filter: {} };
const ALL_ROWS = 300, AROUND = 30; // up to so many rows are all there; beyond, so many above and below the screen
const folds = new Folds(), view = new View();
let rows = [], range = { first: 0, last: 0 }; // of the rows that are there: all, or those around the screen

const bookOf = (key) => (before.traces.has(key.split(".")[0]) ? before : shown);
const storyNow = () => (state.joined ? before : shown).stories.find((one) => one.id === state.story);

/* ---- the filter */

function matcher() {
  const { task, mode, reason, state: ended, wait } = state.filter;
  if (!task && !mode && !reason && !ended && !wait) return null;
  const part = (task || "").toLowerCase();
  return (span) =>
    span.task.toLowerCase().includes(part) && (!mode || span.mode === mode) && (!reason || span.reason === reason) &&
    (!ended || span.state === ended) && (!wait || (span.wait.queue || 0) * 1000 >= wait);
}

function drawFilter() {
  const runs = [...shown.spans.values()].filter((span) => span.run);
  const values = (of) => [...new Set(runs.map(of))].filter(Boolean).sort();
  const form = $("filter");
  const options = { task: values((s) => s.task), mode: values((s) => s.mode), reason: values((s) => s.reason), state: values((s) => s.state) };
  const signature = JSON.stringify(options);
  if (form.dataset.options === signature || form.contains(document.activeElement)) return;
  form.dataset.options = signature;
  const select = (name) => h`<label>${name} <select name="${name}"><option value="">any</option>${options[name].map((value) => h`<option>${value}</option>`)}</select></label>`;
  form.innerHTML = h`<label>task <input name="task" list="tasks" autocomplete="off" placeholder="any"></label><datalist id="tasks">${options.task.slice(0, 500).map((task) => h`<option value="${task}"></option>`)}</datalist>
${["mode", "reason", "state"].map(select)}<label>waited at least <input name="wait" type="number" min="0" step="any" placeholder="0"> ms</label><button type="reset">Clear</button><output></output>`;
  for (const [name, value] of Object.entries(state.filter)) if (form.elements[name]) form.elements[name].value = value;
}

/* ---- drawing */

const drawn = new WeakMap();
/** Put HTML into an element, unless it is there already; what had the focus in it has it again. */
function put(element, markup) {
  if (drawn.get(element) === markup.html) return;
  drawn.set(element, markup.html);
  const active = element.contains(document.activeElement) && document.activeElement;
  const same = active && ["id", "href", "name", "data-story"].filter((name) => active.hasAttribute(name)).map((name) => `[${name}="${CSS.escape(active.getAttribute(name))}"]`).join("");
  element.innerHTML = markup.html;
  if (same) element.querySelector(same)?.focus({ preventScroll: true });
}

function draw() {
  shown.settle();
  before.settle();
  const some = shown.stories.length > 0;
  $("empty").hidden = some;
  $("shown").hidden = !some;
  if (!some) return;
  const newest = shown.stories.at(-1);
  if (!shown.stories.some((one) => one.id === state.story) && !storyNow()) [state.story, state.joined] = [(data.live ? newest : shown.stories[0]).id, false];
  else if (state.follow && data.live && !state.joined && state.story !== newest.id) select(newest.id, null);
  drawStories();
  drawFilter();
  drawStory();
  drawLatency();
}

function drawStories() {
  const matches = matcher(), now = storyNow();
  const current = state.joined ? counterpart(now, shown)?.id : now.id;
  const latest = shown.stories.slice(-300);
  const list = (data.live ? latest.reverse() : latest).map((story) => {
    const bad = story.runs.filter((span) => span.bad).length, found = matches ? story.runs.filter(matches).length : story.runs.length;
    const time = new Date(story.begin * 1000).toLocaleTimeString("en-GB");
    return h`<li${matches && !found ? new Markup(' class="dimmed"') : ""}><a href="#${story.id}"${story.id === current ? new Markup(' aria-current="true"') : ""}><b>${letters(story.number)}</b> <span class="title">${story.title}</span>
<small>${time} · ${counted(found, "run")}${story.traces.length > 1 ? ` · ${counted(story.traces.length, "trace")}` : ""}${bad ? h` <span class="badge bad">${counted(bad, "problem")}</span>` : ""}</small></a></li>`;
  });
  put($("stories").querySelector("ol"), h`${list}`);
}

function drawStory() {
  const story = storyNow();
  const linked = state.joined ? counterpart(story, shown) : story, joined = state.joined ? story : counterpart(story, before);
  $("story-title").textContent = story.title;
  put($("headline"), headline(story));
  $("switch").hidden = !joined || !linked;
  if (joined && linked) {
    const button = (to, is, text) => h`<button type="button" data-story="${to.id}" aria-pressed="${is}">${text}</button>`;
    put($("switch"), h`${button(linked, !state.joined, `Linked: ${counted(linked.traces.length, "trace")}`)}${button(joined, state.joined, `As one trace: ${counted(joined.spans.length, "span")}`)}`);
  }
  put($("compared"), joined && linked && (linked.traces.length > 1 || state.joined) ? comparison(linked, joined, state.joined) : h``);
  view.grow(story.end - story.begin);
  const matches = matcher(), keep = kept(story, state.joined ? before : shown, matches);
  rows = rowsOf(story, folds, keep);
  $("filter").querySelector("output").textContent = matches ? `${keep.matching.size} of ${counted(story.runs.length, "run")}` : "";
  drawDetails(); // first, since the chart is as wide as it leaves room for
  drawRows(story);
}

function drawRows(story) {
  const book = state.joined ? before : shown, active = document.activeElement?.closest?.("#grid .row")?.dataset.id;
  const current = rows.find((row) => row.id === state.selected) ? state.selected : rows[0]?.id;
  const height = rowHeight();
  range = rangeNow(height);
  const there = rows.slice(range.first, range.last), index = rows.findIndex((row) => row.id === current);
  if (index >= 0 && (index < range.first || index >= range.last)) there.push(rows[index]); // what has the focus keeps it
  const numbers = new Map(rows.map((row, number) => [row, number]));
  const body = there.map((row) => {
    const marks = `${row.dimmed ? " dimmed" : ""}${row.id === state.landed ? " landed" : ""}`;
    const open = row.expandable ? new Markup(` aria-expanded="${row.open}"`) : "";
    return h`<div role="row" class="row ${row.type}${marks}" data-id="${row.id}" style="--level:${Math.min(row.level - 1, 14)};top:${numbers.get(row) * height}px" aria-rowindex="${numbers.get(row) + 2}" aria-level="${row.level}" aria-posinset="${row.position}" aria-setsize="${row.size}"${open} aria-selected="${row.id === state.selected}" tabindex="${row.id === current ? 0 : -1}">${rowCells(row, book, words)}</div>`;
  });
  $("grid").setAttribute("aria-rowcount", rows.length + 1);
  $("grid").innerHTML = h`<div role="rowgroup" class="head"><div role="row"><span role="columnheader">span</span><span role="columnheader" class="num">queue wait</span><span role="columnheader" class="num">took</span><span role="columnheader" class="time"><span class="hidden">time</span><svg id="axis" height="22" aria-hidden="true"></svg></span></div></div>
<div role="rowgroup" class="body" style="height:${rows.length * height}px">${body}</div><svg id="chart" aria-hidden="true"></svg>`;
  drawChart(story);
  reachable(current);
  if (active) rowElement(active)?.focus({ preventScroll: true });
}

const rowHeight = () => (matchMedia("(max-width: 700px)").matches ? 48 : 28);

function rangeNow(height) {
  if (rows.length <= ALL_ROWS) return { first: 0, last: rows.length };
  const top = $("grid").getBoundingClientRect().top, first = Math.floor(-top / height) - AROUND;
  return { first: Math.max(0, first), last: Math.min(rows.length, Math.max(0, first) + Math.ceil(innerHeight / height) + 2 * AROUND) };
}

addEventListener("scroll", () => {
  if (rows.length <= ALL_ROWS) return;
  const now = rangeNow(rowHeight()), left = AROUND / 2;
  if (Math.abs(now.first - range.first) > left || Math.abs(now.last - range.last) > left) drawRows(storyNow());
}, { passive: true });

function drawChart(story = storyNow()) {
  const axisCell = $("grid").querySelector(".time"), height = rowHeight();
  const box = axisCell.getBoundingClientRect(), grid = $("grid").getBoundingClientRect(), body = $("grid").querySelector(".body").getBoundingClientRect();
  const size = { width: Math.max(40, box.width), row: height, middle: height === 48 ? 36 : 14 };
  const svg = $("chart");
  svg.setAttribute("width", size.width);
  svg.setAttribute("height", (range.last - range.first) * size.row);
  svg.style.left = `${box.left - grid.left - $("grid").clientLeft}px`;
  svg.style.top = `${body.top - grid.top - $("grid").clientTop + range.first * size.row}px`;
  svg.innerHTML = chart(story, rows, view, state.selected, size, range);
  $("axis").setAttribute("width", size.width);
  $("axis").innerHTML = axis(view, size.width);
}

function drawDetails() {
  const book = bookOf(state.selected || ""), span = state.selected && book.spans.get(state.selected);
  $("details").hidden = !span;
  if (span) put($("details"), details(span, book, words));
}

function drawLatency() {
  const matches = matcher(), runs = [...(state.joined ? before : shown).spans.values()].filter((span) => span.run && (!matches || matches(span)));
  $("latency").hidden = !runs.length;
  if (!runs.length) return;
  put($("waits"), latencyTable(runs));
  put($("plot"), latencyPlot(runs, Math.max(260, $("plot").clientWidth)));
}

/* ---- going somewhere */

const rowElement = (id) => $("grid").querySelector(`.row[data-id="${CSS.escape(id)}"]`);

/** One row at a time can be reached by Tab, and so can its links. */
function reachable(id) {
  for (const old of $("grid").querySelectorAll('[tabindex="0"]')) old.tabIndex = -1;
  const row = id && rowElement(id);
  if (row) for (const one of [row, ...row.querySelectorAll("a, button")]) one.tabIndex = 0;
}

function select(storyId, key) {
  const other = state.story !== storyId;
  Object.assign(state, { story: storyId, selected: key, joined: before.traces.has(storyId) && !shown.traces.has(storyId) });
  if (!key) state.landed = null;
  const story = storyNow();
  if (other && story) view.reset(story.end - story.begin);
}

/** What the address names: a trace, whose story is shown, or a span, whose row is. */
function go() {
  shown.settle();
  before.settle();
  const key = decodeURIComponent(location.hash.slice(1)), book = bookOf(key), story = book.story(key);
  if (!story) return;
  const span = book.spans.get(key);
  const origin = state.trail.at(-1);
  if (origin === key) state.trail.pop();
  state.follow = false;
  select(story.id, span ? key : null);
  if (span) {
    state.landed = key;
    const keep = kept(story, book, matcher());
    if (keep && !keep.around.has(span)) $("filter").reset();
    reveal(span, book.traces.get(span.t), folds);
    const [from, to] = [Math.min(span.published, span.b) - story.begin, span.e - story.begin];
    if (from < view.from || to > view.to) view.set(Math.min(from, view.from), Math.max(to, view.to));
  }
  draw();
  drawBack();
  if (span) focusRow(key, "center");
  else window.scrollTo(0, 0);
}

/** Bring a row onto the screen, where it then is, and put the focus on it. */
function focusRow(id, block) {
  const index = rows.findIndex((row) => row.id === id), height = rowHeight();
  if (index < 0) return;
  const top = $("grid").querySelector(".body").getBoundingClientRect().top + scrollY + index * height;
  const room = $("details").hidden || matchMedia("(min-width: 1501px)").matches ? innerHeight : innerHeight * 0.56;
  const low = top + height - room + 8, high = top - 40;
  if (block === "center") scrollTo(0, top - room / 2);
  else if (scrollY > high || scrollY < low) scrollTo(0, scrollY > high ? high : low);
  if (!rowElement(id)) drawRows(storyNow());
  reachable(id);
  rowElement(id)?.focus({ preventScroll: true });
}

function drawBack() {
  const from = state.trail.at(-1), span = from && bookOf(from).spans.get(from);
  $("back").hidden = !span;
  if (span) $("back").innerHTML = h`You followed a link from <b>${bookOf(from).traces.get(span.t).label} ${span.n}</b>. <button type="button" id="return">← Back</button>`;
}

function choose(id) {
  const row = rows.find((one) => one.id === id);
  if (!row) return;
  state.follow = false;
  const span = row.type === "span";
  state.selected = span ? id : null;
  if (state.landed !== id) state.landed = null;
  if (span) history.replaceState(null, "", "#" + id);
  for (const old of $("grid").querySelectorAll('[aria-selected="true"]')) old.setAttribute("aria-selected", "false");
  if (span) rowElement(id)?.setAttribute("aria-selected", "true");
  if (!state.landed) $("grid").querySelector(".landed")?.classList.remove("landed");
  reachable(id);
  drawDetails();
  drawChart();
}

function toggle(id, open) {
  const row = rows.find((one) => one.id === id);
  if (row?.type === "more") folds.showMore(id, CHUNK);
  else if (row?.expandable) folds.set(id, open ?? !row.open);
  else return;
  const index = rows.indexOf(row);
  drawStory();
  focusRow(rows.some((one) => one.id === id) ? id : rows[Math.min(index, rows.length - 1)].id, "nearest");
}

function follow(anchor) {
  if (state.selected) state.trail.push(state.selected);
  const key = anchor.getAttribute("href").slice(1);
  if (location.hash.slice(1) === key) go();
  else location.hash = key;
}

function back() {
  if (state.trail.length) history.back();
}
