// Buttons, and what the server sends, where there is one; and the start of it all.

function drawActions() {
  const buttons = Object.entries(data.actions).map(([name, { label, number }]) =>
    number === null ? h`<button type="button" data-action="${name}">${label}</button>`
      : h`<span class="pair"><button type="button" data-action="${name}">${label}</button><input type="number" aria-label="${label}: how many" min="1" max="20000" value="${number}"></span>`);
  $("actions").hidden = !buttons.length;
  $("actions").innerHTML = h`<span>Send to the shop:</span>${buttons}`;
}

async function act(button) {
  const number = button.closest(".pair")?.querySelector("input").value || "0";
  Object.assign(state, { follow: true, selected: null, joined: false, trail: [] });
  try {
    const answer = await fetch("do/" + button.dataset.action, { method: "POST", headers: { "Content-Type": "application/json" }, body: String(parseInt(number, 10) || 0) });
    $("said").textContent = answer.ok ? `“${button.textContent}” was sent` : `“${button.textContent}” failed: ${(await answer.text()).trim()}`;
  } catch {
    $("said").textContent = "The shop does not answer any more";
  }
}

let waiting = false, pause = 100;
function changed() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    const begun = performance.now();
    draw();
    pause = Math.max(100, 3 * (performance.now() - begun)); // a large story leaves the browser time for its reader
    waiting = false;
  }, pause);
}

async function receive(book, run) {
  for (let number = 0; ; ) {
    try {
      const news = await (await fetch(`news?run=${run}&after=${number}`)).json();
      if (news.next < number) book.clear(); // another viewer, at the same address
      else if (news.spans.length) book.add(news.spans, news.first);
      if (news.next !== number) changed();
      number = news.next < number ? 0 : news.next;
      if (run !== "") continue;
      $("live").textContent = `Live: ${counted(shown.spans.size, "span")}`;
      if ($("said").textContent.startsWith("The viewer")) $("said").textContent = "";
    } catch {
      if (run === "") $("said").textContent = "The viewer has ended; what it had received is shown";
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
$("how").textContent = ["OTEL_EXPORTER_OTLP_ENDPOINT=" + location.origin, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=500"].map((one) => "export " + one).join("\n");
$("empty").querySelector(".own").hidden = !data.live || Object.keys(data.actions).length > 0;
$("filters").open = !matchMedia("(max-width: 700px)").matches;
drawActions();
shown.add(data.spans);
before.add(data.before);
draw();
go();
if (data.live) {
  receive(shown, "");
  receive(before, "before");
}
