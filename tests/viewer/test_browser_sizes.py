"""The page in a real browser: large stories open at once, every width will do, and nothing keeps anybody out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.viewer.conftest import settled
from tests.viewer.made import CHECKOUT, ONE_TRACE, identifier, large

pytestmark = pytest.mark.slow
SHOWN = """() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"""


@pytest.mark.parametrize("alike", [True, False])
def test_a_story_of_two_thousand_spans_opens_in_a_second(
    opened: Callable[..., Any], written: Callable[..., str], alike: bool
) -> None:
    url = written(spans=large(2000, alike=alike))
    times = [opened(url).evaluate(SHOWN) for _ in range(3)]
    assert min(times) < 1000, times


def test_a_story_of_twenty_thousand_spans_is_folded(opened: Callable[..., Any], written: Callable[..., str]) -> None:
    page = opened(written(spans=large(20_000, alike=True)))
    texts = page.locator("#grid .row").all_inner_texts()
    assert len(texts) == 4
    assert "apply_async/letter" in texts[2]
    assert "10,000 traces, link (fan-out)" in texts[3]
    page.locator("#grid .row").nth(3).click()
    assert page.get_by_role("button", name="Show 100 more of 9,900").count() == 1
    page.goto(page.url.partition("#")[0] + f"#{identifier('L9876', 32)}.{identifier('r9876', 16)}")
    settled(page, f"document.activeElement.dataset.id?.startsWith('{identifier('L9876', 32)}')")


def test_a_story_of_twenty_thousand_different_spans_does_not_freeze(
    opened: Callable[..., Any], written: Callable[..., str]
) -> None:
    page = opened(written(spans=large(20_000, alike=False)))
    assert page.locator("#grid .row").count() < 200  # the others are there when one comes to them
    assert page.get_attribute("#grid", "aria-rowcount") == str(1 + 1 + 1 + 10_000 + 2 * 10_000)
    page.locator("#grid .row").first.focus()
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.id").startswith(identifier("L9999", 32))
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.ariaRowIndex") == "2"


@pytest.mark.parametrize("width", [360, 1000, 1600])
def test_nothing_sticks_out_of_any_width(opened: Callable[..., Any], written: Callable[..., str], width: int) -> None:
    page = opened(written(spans=CHECKOUT, before=ONE_TRACE), width)
    page.locator(f'.row[data-id$="{identifier("r", 16)}"]').click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """[...document.querySelectorAll('#grid .row > *, button, #details dd')].filter((one) => {
            const box = one.getBoundingClientRect();
            return box.width && (box.right > innerWidth || box.left < 0);
        }).map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert outside == []
    assert page.locator("#details").is_visible()
    chart, grid = page.locator("#chart").bounding_box(), page.locator("#grid").bounding_box()
    assert chart["x"] + chart["width"] <= grid["x"] + grid["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_axe_finds_nothing(
    opened: Callable[..., Any], written: Callable[..., str], axe: str, width: int, scheme: str
) -> None:
    page = opened(written(spans=[*CHECKOUT, *large(100, alike=True)], before=ONE_TRACE), width, 4000, scheme)
    assert violations(page, axe) == []
    page.locator("#grid a.chip").first.click()
    settled(page, "!document.getAnimations().length")
    assert violations(page, axe) == []
    page.get_by_role("button", name="As one trace").click()
    assert violations(page, axe) == []


def violations(page: Any, axe: str) -> list[str]:
    page.evaluate(axe)
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


def test_axe_would_find_something(opened: Callable[..., Any], written: Callable[..., str], axe: str) -> None:
    page = opened(written(spans=CHECKOUT))
    page.add_style_tag(content="#headline { color: #ccc; }")
    assert any("color-contrast" in one for one in violations(page, axe))


def test_a_page_without_spans_says_so(opened: Callable[..., Any], written: Callable[..., str]) -> None:
    assert "No spans yet" in opened(written()).inner_text("main")


def test_the_colours_can_be_changed(opened: Callable[..., Any], written: Callable[..., str]) -> None:
    page = opened(written(spans=CHECKOUT), scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.click("#theme")
    assert page.evaluate(background) == "rgb(255, 255, 255)" != dark
