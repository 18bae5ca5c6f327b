"""The body of a chord may be large: it is looked through once, however much the task publishes that carries it."""

from __future__ import annotations

import pytest

from celery_otel_links._rules import canvas as _canvas
from celery_otel_links._rules.canvas import UNLOCK


@pytest.fixture
def bodies(monkeypatch):
    """The signatures whose ids are looked for."""
    looked_at = []
    ids = _canvas._ids

    def counting(signature):
        looked_at.append(signature)
        return ids(signature)

    monkeypatch.setattr(_canvas, "_ids", counting)
    return looked_at


LARGE = {
    "task": "celery.group",
    "kwargs": {"tasks": [{"task": "a", "options": {"task_id": str(n)}} for n in range(500)]},
}


def looked_through(shop, bodies, name, messages):
    """At how many signatures is looked while the task of this name publishes so many messages."""

    def publishing(*_):
        for _ in range(messages):
            shop.app.send_task("shop.audit", queue="celery")

    bodies.clear()
    if name == UNLOCK:
        task = shop.app.tasks[UNLOCK]
        task.run = publishing
        shop.run(task, {}, "g", LARGE, args=["g", LARGE])
    else:
        shop.run(shop.task(name, publishing), {"chord": LARGE, "group": "g"})
    return len(bodies)


@pytest.mark.parametrize("name", ["shop.add", UNLOCK])
def test_publishing_in_a_task_of_a_chord_does_not_look_through_the_body_again(shop, bodies, name):
    once = looked_through(shop, bodies, name, 1)
    assert once > 500
    assert looked_through(shop, bodies, f"{name}.again" if name != UNLOCK else name, 200) == once
    assert len(shop.sent) == 201


def test_a_task_that_publishes_nothing_does_not_look_through_it_at_all(shop, bodies):
    assert looked_through(shop, bodies, "shop.add", 0) <= 2  # its first id names the chord


def test_a_request_is_looked_at_once(shop, monkeypatch):
    made = []
    of = _canvas.Publisher.of.__func__
    monkeypatch.setattr(_canvas.Publisher, "of", classmethod(lambda cls, *facts: made.append(facts) or of(cls, *facts)))

    def publishing(*_):
        for _ in range(10):
            shop.app.send_task("shop.audit", queue="celery")

    shop.run(shop.task("shop.add", publishing))
    assert len(made) == 1
