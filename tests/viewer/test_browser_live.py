"""The page of a running receiver: it shows what arrives, and its buttons reach who serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from celery_otel_links.cli.viewer.collector import Action, Collector
from tests.viewer.conftest import settled
from tests.viewer.made import CHECKOUT, ONE_TRACE, span


@pytest.fixture
def calls() -> list[int]:
    return []


@pytest.fixture
def collector(calls: list[int]) -> Iterator[Collector]:
    def fail(_: int) -> None:
        raise RuntimeError("the shop is shut")

    actions = {
        "buy": Action("Buy", calls.append),
        "many": Action("Fan-out of", calls.append, 5),
        "no": Action("No", fail),
    }
    collector = Collector(title="Shop", actions=actions)
    yield collector
    collector.close()


def test_what_arrives_is_shown_without_reloading(collector: Collector, opened: Callable[..., Any]) -> None:
    page = opened(collector.endpoint)
    assert "No spans yet" in page.inner_text("main")
    collector.recording.add(spans=CHECKOUT[:3])
    settled(page, "document.querySelectorAll('#grid .row.span').length === 3")
    collector.recording.add(spans=CHECKOUT[3:])
    settled(page, "document.querySelectorAll('#grid .row.span').length === 10")
    assert page.locator("#switch").is_hidden()
    collector.before.add(spans=ONE_TRACE)
    page.get_by_role("button", name="As one trace: 5 spans").wait_for()
    settled(page, "document.getElementById('live').textContent === 'Live: 10 spans'")


def test_the_newest_request_is_shown_until_one_is_chosen(collector: Collector, opened: Callable[..., Any]) -> None:
    page = opened(collector.endpoint)
    title = "document.getElementById('story-title').textContent"
    collector.recording.add(spans=CHECKOUT)
    settled(page, f"{title} === 'POST /checkout'")
    collector.recording.add(spans=[span("n1", "n", "POST /new", at=100)])
    settled(page, f"{title} === 'POST /new'")
    page.click("#stories a:has-text('checkout')")
    settled(page, f"{title} === 'POST /checkout'")
    collector.recording.add(spans=[span("n2", "n", "POST /newer", at=200)])
    page.locator("#stories a:has-text('newer')").wait_for()
    assert page.inner_text("#story-title") == "POST /checkout"


def test_what_has_the_focus_keeps_it_while_spans_arrive(collector: Collector, opened: Callable[..., Any]) -> None:
    page = opened(collector.endpoint)
    collector.recording.add(spans=CHECKOUT)
    page.locator("#grid .row.span").nth(3).click()
    chosen = page.evaluate("document.activeElement.dataset.id")
    collector.recording.add(spans=[span("t1", "later", "apply_async/later", "post", at=4)])
    page.locator(".text:has-text('apply_async/later')").wait_for()
    assert page.evaluate("document.activeElement.dataset.id") == chosen


def test_buttons_reach_the_shop_with_their_number(
    collector: Collector, opened: Callable[..., Any], calls: list[int]
) -> None:
    page = opened(collector.endpoint)
    page.get_by_role("button", name="Buy").click()
    settled(page, "document.getElementById('said').textContent === '“Buy” was sent'")
    page.fill(".pair input", "12")
    page.get_by_role("button", name="Fan-out of").click()
    settled(page, "document.getElementById('said').textContent.includes('Fan-out')")
    assert calls == [0, 12]


def test_the_page_survives_its_server(opened: Callable[..., Any], chromium: Any) -> None:
    collector = Collector()
    collector.recording.add(spans=CHECKOUT)
    page = chromium.new_page()
    page.goto(collector.endpoint)
    settled(page, "document.querySelectorAll('#grid .row.span').length === 10")
    collector.close()
    settled(page, "document.getElementById('said').textContent.startsWith('The viewer has ended')")
    assert page.locator("#grid .row.span").count() == 10
    page.close()


def test_a_request_that_goes_on_is_not_said_to_have_ended(collector: Collector, opened: Callable[..., Any]) -> None:
    page = opened(collector.endpoint)
    collector.recording.add(spans=CHECKOUT[1:3])
    settled(page, "document.getElementById('headline').textContent.includes('has not been received')")
    assert page.inner_text("#story-title") == "apply_async/charge …"
    collector.recording.add(spans=CHECKOUT[:1])
    settled(page, "document.getElementById('headline').textContent.startsWith('The request took 50 ms')")


def test_typing_into_the_filter_is_not_disturbed_by_what_arrives(
    collector: Collector, opened: Callable[..., Any]
) -> None:
    page = opened(collector.endpoint)
    collector.recording.add(spans=CHECKOUT)
    page.locator('#filter [name="task"]').press_sequentially("rec")
    collector.recording.add(spans=[span("n", "n", "run/new", at=9)])
    page.locator("#stories a:has-text('run/new')").wait_for()
    page.keyboard.type("eipt")
    assert page.input_value('#filter [name="task"]') == "receipt"
