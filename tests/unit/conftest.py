"""Hypothesis as it has to be on shared machines, and a shop that publishes and runs in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings
from opentelemetry.context import Context, get_current

from tests.unit.shop import Shop

# No deadline, nothing left on disk.
settings.register_profile("links", deadline=None, database=None, max_examples=100, print_blob=True)
settings.load_profile("links")


@pytest.fixture
def shop_with() -> Iterator[Callable[..., Shop]]:
    """Opens the shop of this test, with these options of `instrument` and this configuration."""
    opened: list[Shop] = []

    def open_shop(**options: object) -> Shop:
        opened.append(Shop(**options))
        return opened[-1]

    yield open_shop
    for shop in opened:
        shop.close()
    assert get_current() == Context(), "a context was left attached"


@pytest.fixture
def shop(shop_with: Callable[..., Shop]) -> Shop:
    """The shop with the defaults."""
    return shop_with()
