// What a key, a click, a drag or a field does.

const KEYS = {
  ArrowDown: (row, index) => rows[index + 1] && step(rows[index + 1].id),
  ArrowUp: (row, index) => rows[index - 1] && step(rows[index - 1].id),
  Home: () => step(rows[0].id),
  End: () => step(rows.at(-1).id),
  PageDown: (row, index) => step(rows[Math.min(rows.length - 1, index + 15)].id),
  PageUp: (row, index) => step(rows[Math.max(0, index - 15)].id),
  ArrowRight: (row, index) => (row.expandable && !row.open ? toggle(row.id, true) : rows[index + 1]?.level > row.level && step(rows[index + 1].id)),
  ArrowLeft: (row, index) => {
    if (row.expandable && row.open) return toggle(row.id, false);
    const above = rows.slice(0, index).findLast((one) => one.level < row.level);
    if (above) step(above.id);
  },
  " ": (row) => choose(row.id),
  Enter: (row) => {
    const anchor = rowElement(row.id).querySelector("a.chip");
    if (row.type === "span" && anchor) { choose(row.id); follow(anchor); }
    else if (row.type === "span") choose(row.id);
    else toggle(row.id);
  },
};
const ZOOMS = {
  in: () => view.zoom(0.5), out: () => view.zoom(2), left: () => view.move(-0.3), right: () => view.move(0.3),
  all: () => view.reset(view.whole),
  trace: () => {
    const story = storyNow(), trace = (state.joined ? before : shown).traces.get((state.selected || story.id).split(".")[0]) || story.traces[0];
    const room = (trace.end - trace.begin) * 0.04;
    view.set(trace.begin - story.begin - room, trace.end - story.begin + room);
  },
};
const ZOOM_KEYS = { "+": "in", "=": "in", "-": "out", 0: "all" };

function step(id) {
  choose(id);
  focusRow(id, "nearest");
}

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const element = event.target.closest("#grid .row");
  if (event.key === "Backspace" && state.trail.length) back();
  else if (ZOOM_KEYS[event.key]) zoom(ZOOM_KEYS[event.key]);
  else if (event.key === "Escape") closeDetails();
  else if (element && event.target === element && KEYS[event.key]) {
    const index = rows.findIndex((row) => row.id === element.dataset.id);
    KEYS[event.key](rows[index], index);
  } else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a[href^='#']"), row = event.target.closest("#grid .row");
  const button = event.target.closest("button");
  if (anchor && anchor.closest("#stories")) state.trail = [];
  else if (anchor) {
    event.preventDefault();
    if (row) choose(row.dataset.id);
    follow(anchor);
  } else if (button?.dataset.zoom) zoom(button.dataset.zoom);
  else if (button?.dataset.story) toStory(button.dataset.story);
  else if (button?.dataset.action) act(button);
  else if (button?.id === "return") back();
  else if (button?.id === "close") closeDetails();
  else if (button?.id === "theme") theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  else if (event.target.dataset.key) location.hash = event.target.dataset.key;
  else if (row && !dragged) {
    const { id, type } = rows.find((one) => one.id === row.dataset.id);
    if (type !== "span" || event.target.closest(".turn")) toggle(id);
    else {
      choose(id);
      rowElement(id).focus({ preventScroll: true });
    }
  }
});

function closeDetails() {
  const id = state.selected;
  Object.assign(state, { selected: null, landed: null });
  drawStory();
  if (id) {
    reachable(id);
    rowElement(id)?.focus({ preventScroll: true });
  }
}

function toStory(id) {
  state.follow = false;
  state.trail = [];
  drawBack();
  select(id, null);
  history.replaceState(null, "", "#" + id);
  draw();
  $("switch").querySelector(`[data-story="${CSS.escape(id)}"]`)?.focus();
}

function zoom(how) {
  ZOOMS[how]();
  drawChart();
}

let drag = null, dragged = false; // over the chart: from where to where
addEventListener("pointerdown", (event) => {
  const box = $("chart")?.getBoundingClientRect();
  dragged = false;
  if (event.button || event.pointerType === "touch" || !box || !event.target.closest("#grid") || event.clientX < box.left || event.clientX > box.right) return;
  drag = { x: event.clientX, box };
});
addEventListener("pointerup", (event) => {
  if (!drag) return;
  const at = (x) => view.from + ((x - drag.box.left) / drag.box.width) * (view.to - view.from);
  const [from, to] = [Math.min(drag.x, event.clientX), Math.max(drag.x, event.clientX)];
  dragged = to - from > 8;
  if (dragged) {
    view.set(at(from), at(to));
    drawChart();
  }
  drag = null;
});

const form = $("filter");
const filter = () => {
  state.filter = Object.fromEntries(new FormData(form));
  draw();
};
form.addEventListener("input", filter);
form.addEventListener("reset", () => {
  state.filter = {};
  setTimeout(draw);
});
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", go);
addEventListener("resize", () => requestAnimationFrame(draw));

function theme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = name === "dark" ? "Light" : "Dark";
  $("theme").setAttribute("aria-label", `Change to the ${name === "dark" ? "light" : "dark"} colours`);
}
