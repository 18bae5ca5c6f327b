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
    $("live").textContent = answer.ok ? `“${button.textContent}” was sent` : `“${button.textContent}” failed: ${(await answer.text()).trim()}`;
  } catch {
    $("live").textContent = "The shop does not answer any more";
  }
}

let waiting = false;
function changed() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    draw();
  }, 100);
}

async function receive(book, run) {
  for (let number = 0; ; ) {
    try {
      const news = await (await fetch(`news?run=${run}&after=${number}`)).json();
      if (news.next < number) book.clear(); // another viewer, at the same address
      else if (news.spans.length) book.add(news.spans, news.first);
      if (news.next !== number) changed();
      number = news.next < number ? 0 : news.next;
      if (run === "") $("live").textContent = `Live: ${counted(shown.spans.size, "span")}`;
    } catch {
      if (run === "") $("live").textContent = "The viewer has ended; what it had received is shown";
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
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
