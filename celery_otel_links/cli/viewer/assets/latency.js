// How long tasks waited: a table by task, and every run over time on a logarithmic scale.

const COLUMNS = [["queue", "queue wait"], ["broker", "of it in the broker"], ["prefetch", "of it in the worker"]];
const SHARES = [[0.5, "median"], [0.95, "p95"], [1, "max"]];
const MOST_DOTS = 3000, MOST_TASKS = 100;

/** The nearest-rank percentile. */
function percentile(sorted, share) {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

function latencyTable(runs) {
  const byTask = new Map();
  for (const span of runs) {
    if (!byTask.has(span.task)) byTask.set(span.task, []);
    byTask.get(span.task).push(span);
  }
  const head = h`<caption>By task, the longest wait first${byTask.size > MOST_TASKS ? h`; ${byTask.size - MOST_TASKS} more tasks waited less` : ""}</caption><thead><tr><th scope="col" rowspan="2">task</th><th scope="col" rowspan="2">runs</th><th scope="col" rowspan="2">failed</th>${COLUMNS.map(([, text]) => h`<th scope="colgroup" colspan="3">${text}</th>`)}</tr>
<tr>${COLUMNS.map(() => SHARES.map(([, name]) => h`<th scope="col">${name}</th>`))}</tr></thead>`;
  const most = (spans) => spans.reduce((worst, span) => Math.max(worst, span.wait.queue || 0), 0);
  const slowest = [...byTask.entries()].map((one) => [most(one[1]), ...one]).sort((a, b) => b[0] - a[0]);
  const rows = slowest.slice(0, MOST_TASKS).map(([, task, spans]) => {
    const cells = COLUMNS.map(([part]) => {
      const values = spans.map((span) => span.wait[part]).filter((seconds) => seconds !== null).sort((a, b) => a - b);
      return SHARES.map(([share]) => h`<td>${values.length ? duration(percentile(values, share)) : "–"}</td>`);
    });
    return h`<tr><th scope="row">${task}</th><td>${spans.length.toLocaleString("en")}</td><td>${spans.filter((span) => span.x).length || ""}</td>${cells}</tr>`;
  });
  return h`${head}<tbody>${rows}</tbody>`;
}

/** A dot per run: when it began, how long it had waited without being asked to. */
function latencyPlot(runs, width) {
  const seen = runs.filter((span) => span.wait.queue !== null);
  if (!seen.length) return h``;
  const step = Math.ceil(seen.length / MOST_DOTS), dots = seen.filter((_, index) => index % step === 0);
  const begin = Math.min(...dots.map((span) => span.b)), end = Math.max(...dots.map((span) => span.b));
  const top = Math.max(0.1, ...dots.map((span) => span.wait.queue)), floor = 0.0005, height = 170, left = 56, below = 24;
  const y = (seconds) => 8 + (height - 8) * (1 - Math.log(Math.max(seconds, floor) / floor) / Math.log(top / floor));
  const x = (time) => left + ((time - begin) / Math.max(end - begin, 1e-3)) * (width - left - 12);
  const lines = [0.001, 0.01, 0.1, 1, 10, 100, 1000].filter((seconds) => seconds <= top);
  const marks = lines.map((seconds) => h`<path class="grid" d="M${left} ${y(seconds).toFixed(1)}H${width}"/><text x="${left - 6}" y="${(y(seconds) + 4).toFixed(1)}" text-anchor="end">${seconds < 1 ? seconds * 1000 + " ms" : seconds + " s"}</text>`);
  const points = dots.map((span) => h`<circle class="${span.bad ? "failed" : longest(span)}" data-key="${span.key}" cx="${x(span.b).toFixed(1)}" cy="${y(span.wait.queue).toFixed(1)}" r="4"><title>${span.task}: ${duration(span.wait.queue)}</title></circle>`);
  const seconds = Math.max(end - begin, 1e-3);
  const times = [0, 0.5, 1].map((share) => h`<text x="${(left + share * (width - left - 12)).toFixed(0)}" y="${height + 18}" text-anchor="${["start", "middle", "end"][share * 2]}">${share ? duration(share * seconds) : "0"}</text>`);
  return h`<h3>Each run by when it began: its queue wait</h3>
<svg width="${width}" height="${height + below}" role="img" aria-label="${counted(seen.length, "run")} over ${duration(seconds)}, the longest wait ${duration(top)}; the table above has the numbers">${marks}${times}${points}</svg>
<ul class="legend" aria-hidden="true"><li><i class="dot broker"></i>mostly in the broker</li><li><i class="dot prefetch"></i>mostly in the worker</li><li><i class="dot failed"></i>failed</li></ul>`;
}
