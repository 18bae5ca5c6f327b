"""The page on configuration says what is declared of every option."""

from __future__ import annotations

import pytest

from celery_otel_links._config.options import OPTIONS, Option
from tests.unit.test_docs import rows


def row(option: Option) -> list[str]:
    """How the page says it."""
    default = repr(option.default).replace("'", '"')
    return [f"`{option.name}`", f"`{default}`", option.meaning, f"`{option.text}`" if option.text else ""]


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_the_page_says_what_is_declared(option):
    assert row(option) in rows("configuration.md", "key")


def test_the_page_lists_no_other_option():
    assert [first.strip("`") for first, *_ in rows("configuration.md", "key")] == list(OPTIONS)
