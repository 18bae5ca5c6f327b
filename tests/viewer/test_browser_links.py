"""The page in a real browser: links lead where they should and back, by mouse and by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.viewer.conftest import settled
from tests.viewer.made import CHECKOUT, ONE_TRACE, identifier

PRODUCER = "apply_async/receipt"


@pytest.fixture
def page(opened: Callable[..., Any], written: Callable[..., str]) -> Any:
    return opened(written(title="Shop", spans=CHECKOUT, before=ONE_TRACE))


def key(trace: str, span: str) -> str:
    return f"{identifier(trace, 32)}.{identifier(span, 16)}"


def row(page: Any, trace: str, span: str) -> Any:
    return page.locator(f'#grid .row[data-id="{key(trace, span)}"]')


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.dataset.id || document.activeElement.textContent.trim()"))


def landed_on(page: Any, identifier: str) -> None:
    """A link is followed when the browser says that the address has changed, which is a moment later."""
    settled(page, f"document.activeElement.dataset.id === '{identifier}'")


def test_a_link_leads_to_the_other_trace_and_back(page: Any) -> None:
    row(page, "t1", "pr").locator("a.chip").click()
    landed_on(page, key("t2", "r"))
    assert "landed" in row(page, "t2", "r").get_attribute("class")
    assert "A apply_async/receipt" in page.inner_text("#back")
    assert page.inner_text("#details h2") == "run/receipt"
    page.click("#return")
    settled(page, f"document.activeElement.dataset.id === '{key('t1', 'pr')}'")
    assert page.locator("#back").is_hidden()


def test_the_browsers_own_back_leads_back_too(page: Any) -> None:
    row(page, "t2", "pa").locator("a.chip").click()
    assert focused(page) == key("t3", "a")
    page.go_back()
    settled(page, f"document.activeElement.dataset.id === '{key('t2', 'pa')}'")


def test_every_link_chip_leads_to_the_span_that_it_names(page: Any) -> None:
    for anchor in page.locator("#grid a.chip").all():
        target = anchor.get_attribute("href")[1:]
        name = anchor.get_attribute("title").partition(": ")[2].partition(" in trace")[0]
        anchor.click()
        landed_on(page, target)
        assert page.locator(f'.row[data-id="{target}"] .text').inner_text() == name


def test_the_keyboard_alone_walks_folds_follows_and_returns(page: Any) -> None:
    press = page.keyboard.press
    page.locator("#grid .row").first.focus()
    press("End")
    assert focused(page) == key("t3", "a")
    press("Enter")  # its first link: who published it
    landed_on(page, key("t2", "pa"))
    press("Backspace")
    landed_on(page, key("t3", "a"))
    press("Home")
    press("ArrowLeft")
    assert row(page, "t1", "post").count() == 0
    press("ArrowRight")
    press("ArrowRight")
    assert focused(page) == key("t1", "post")
    press("Shift+Tab")
    press("Tab")
    assert focused(page) == key("t1", "post")
    row(page, "t1", "pr").focus()
    press("ArrowDown")
    press("ArrowUp")
    press("Tab")
    press("Enter")  # on the link itself
    landed_on(page, key("t2", "r"))


def test_everything_that_can_be_clicked_can_be_reached_by_tab(page: Any) -> None:
    page.evaluate("document.body.tabIndex = -1, document.body.focus()")
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || ''") or focused(page))
    buttons = {
        one.inner_text().strip()
        for one in page.locator("button:visible").all()
        if one.evaluate("e => !e.closest('#grid')")
    }
    stories = {one.text_content().strip() for one in page.locator("#stories a").all()}
    fields = set(page.evaluate("[...document.querySelectorAll('#filter [name]')].map(e => e.name)"))
    assert buttons <= reached
    assert stories <= reached
    assert fields <= reached
    assert identifier("t1", 32) in reached  # a row: the arrows reach the others, and Tab the links of the one


def test_what_stands_beside_a_span_says_how_long_it_waited_and_why(page: Any) -> None:
    row(page, "t2", "r").click()
    text = page.inner_text("#details")
    assert "It waited 100 ms in the broker, until a worker took it, then 800 ms in the worker" in text
    assert "one of many" in text
    for name in ("celery.latency.prefetch", "published by", "none: this is the root of its trace"):
        assert name in text


def test_why_a_trace_is_one_of_its_own_is_said_where_it_begins(page: Any) -> None:
    heads = page.locator("#grid .row.trace").all_inner_texts()
    assert "own trace" in heads[0]
    assert "A1 own trace: it is one of many (group, chord, chunks), and nobody waits for it" in heads[1]
    assert "A2 own trace: it was due later than delay_threshold" in heads[2]


def test_the_headline_answers_what_was_caused_and_what_went_wrong(page: Any) -> None:
    text = page.inner_text("#headline")
    assert text.startswith(
        "The request took 50 ms and caused 5 runs of 4 tasks in 3 traces, the last of which ended 3.20 s"
    )
    assert "The longest wait that nobody asked for: receipt, 900 ms, in the worker" in text
    assert "1 killed (archive), 1 tried again (charge), 1 never run (offer)." in text


def test_a_switch_shows_the_same_request_as_one_trace(page: Any) -> None:
    assert page.locator("#grid .row.trace").count() == 3
    page.get_by_role("button", name="As one trace: 5 spans").click()
    assert page.locator("#grid .row.trace").count() == 1
    assert row(page, "b1", "br").count() == 1
    assert "in a second run" in page.inner_text("#compared")
    page.get_by_role("button", name="Linked: 3 traces").click()
    assert page.locator("#grid .row.trace").count() == 3


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        ("task", "arch", {"run/archive"}),
        ("mode", "link", {"run/receipt", "run/archive"}),
        ("reason", "delay", {"run/archive"}),
        ("state", "EXPIRED", {"run/offer"}),
        ("wait", "80", {"run/charge", "run/receipt"}),
    ],
)
def test_a_filter_leaves_what_matches_and_what_leads_there(page: Any, field: str, value: str, left: set[str]) -> None:
    box = page.locator(f'#filter [name="{field}"]')
    box.select_option(value) if field in ("mode", "reason", "state") else box.fill(value)
    found = page.locator("#grid .row.span:not(.dimmed) .text").all_inner_texts()
    assert set(found) == left
    assert page.locator("#grid .row.span.dimmed").count() > 0
    page.click("#filter [type=reset]")
    settled(page, "document.querySelectorAll('#grid .row.span').length === 10")


def test_a_link_to_what_the_filter_hides_takes_the_filter_off(page: Any) -> None:
    row(page, "t2", "r").click()
    page.fill('#filter [name="task"]', "receipt")
    page.click("#details a:has-text('apply_async/archive')")
    assert focused(page) == key("t2", "pa")
    assert page.input_value('#filter [name="task"]') == ""


def bar(page: Any, kind: str) -> float:
    return float(page.evaluate(f"document.querySelector('#chart rect.{kind}')?.getBoundingClientRect().width || 0"))


def test_the_time_axis_zooms(page: Any) -> None:
    before = bar(page, "server")
    page.click('[data-zoom="in"]')
    page.click('[data-zoom="left"]')
    page.click('[data-zoom="left"]')
    assert bar(page, "server") == pytest.approx(2 * before, rel=0.1)
    page.keyboard.press("0")
    assert bar(page, "server") == pytest.approx(before, rel=0.01)
    box = page.locator("#chart").bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40)
    page.mouse.up()
    assert bar(page, "server") == pytest.approx(4 * before, rel=0.1)


def test_a_wait_is_drawn_before_its_run_in_its_parts(page: Any) -> None:
    parts = page.evaluate(
        "[...document.querySelectorAll('#chart rect')].map(r => [r.className.baseVal, +r.getAttribute('x')])"
    )
    kinds = [kind for kind, _ in parts]
    at = kinds.index("scheduled")
    assert kinds[at : at + 4] == ["scheduled", "broker", "prefetch", "consumer"]
    assert [x for _, x in parts[at : at + 4]] == sorted(x for _, x in parts[at : at + 4])


def test_a_link_is_drawn_as_an_arrow_from_cause_to_effect(page: Any) -> None:
    assert page.locator("#chart path.arrow").count() == 3  # two linked traces, one retry
    row(page, "t3", "a").click()
    assert page.locator("#chart path.arrow.chosen").count() == 2  # its producer, and the origin too


def test_the_waits_of_all_tasks_are_in_a_table_and_a_plot(page: Any) -> None:
    cells = page.locator("#waits tbody tr").first.inner_text().split("\t")
    assert cells[:6] == ["receipt", "1", "", "900 ms", "900 ms", "900 ms"]
    assert page.locator("#plot circle").count() == 5
    page.locator("#plot circle").first.click(force=True)
    settled(page, "document.activeElement.classList.contains('row')")
