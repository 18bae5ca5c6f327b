"""Baggage travels in every mode; all of it, none of it, or the entries that are named."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from opentelemetry import baggage, context

from celery_otel_links import propagation
from tests.acceptance.stages import EVERYWHERE

pytestmark = pytest.mark.stages(*EVERYWHERE)

BAGGAGE = {"tenant": "42", "plan": "gold"}


@contextmanager
def carrying(entries):
    carried = context.get_current()
    for name, value in entries.items():
        carried = baggage.set_baggage(name, value, carried)
    token = context.attach(carried)
    try:
        yield
    finally:
        context.detach(token)


def seen_by(story, canvas, mode="child"):
    """What the task finds in its baggage."""
    with story.request(), carrying(BAGGAGE), propagation(mode):
        result = canvas.apply_async()
    return result.get(timeout=10)


@pytest.mark.parametrize("mode", ["child", "link", "none"])
def test_baggage_travels_in_every_mode(story, mode):
    assert seen_by(story, story.shop.baggage.s(), mode) == BAGGAGE


def test_baggage_can_be_left_behind(story):
    story.begin({"baggage": False})
    assert seen_by(story, story.shop.baggage.s()) == {}


def test_the_named_entries_travel(story):
    story.begin({"baggage": ["tenant"]})
    assert seen_by(story, story.shop.baggage.s(), "link") == {"tenant": "42"}


def test_baggage_travels_through_a_chain_of_linked_tasks(story):
    assert seen_by(story, story.shop.linked.si() | story.shop.baggage.si(), "link") == BAGGAGE


@pytest.mark.worker(otel_links={"baggage": False})
@pytest.mark.stages("prefork-valkey")
def test_a_worker_can_refuse_baggage(story):
    assert seen_by(story, story.shop.baggage.s()) == {}
