"""What is worked out once per task and queue: how much of it is kept, and that nothing more is asked per message."""

from __future__ import annotations

import gc
import weakref

import pytest
from celery import Celery
from kombu import Exchange

from celery_otel_links._config.options import Config
from celery_otel_links._rules.facts import NOTHING, Decision, Message
from celery_otel_links._rules.policy import RANKS
from celery_otel_links._rules.texts import LONGEST_NAME
from celery_otel_links._tracing import plans as _plans
from celery_otel_links._tracing.plans import Reading
from tests.unit import planning

LONG = "x" * (LONGEST_NAME + 1)


@pytest.fixture
def app():
    return Celery("shop", broker="memory://", set_as_current=False)


def plans_of(**config):
    return planning.plans_of(Config.from_mapping(config, environ={}))


def to_run(plans, app, name, key="celery", exchange="", task=None, kwargs=None):
    return plans.to_run(app, task, name, {"routing_key": key, "exchange": exchange}, kwargs)


def to_publish(plans, app, name, key="celery", exchange="", task=None):
    message = Message(name, {"id": "1"}, ((), {}, {}), {}, Exchange(exchange) if exchange else "", key, None)
    return plans.to_publish(app, message, task)


@pytest.mark.parametrize("planned", [to_run, to_publish])
def test_a_plan_is_made_once_for_a_task_on_a_queue(app, planned):
    plans = plans_of()
    plan = planned(plans, app, "shop.add")
    assert planned(plans, app, "shop.add") is plan
    others = [("shop.mail", "celery", ""), ("shop.add", "bulk", ""), ("shop.add", "celery", "shop")]
    made = [planned(plans, app, *other) for other in others]
    assert len({plan, *made}) == 4
    assert all(planned(plans, app, *other) is one for other, one in zip(others, made, strict=True))


@pytest.mark.parametrize("key", [["bulk"], {"a": 1}, 7, None, b"bulk"])
def test_what_a_broker_gives_in_place_of_a_name_has_a_plan_too(app, key):
    plans = plans_of()
    plan = to_run(plans, app, "shop.add", key, key)
    assert plan.route.routing_key == plan.route.exchange == str(key or "")
    assert to_run(plans, app, "shop.add", key, key) is plan


def test_publishing_and_running_have_plans_of_their_own_and_so_has_each_app(app):
    plans = plans_of()
    other = Celery("other", broker="redis://there", set_as_current=False)
    made = [
        to_run(plans, app, "a"),
        to_publish(plans, app, "a"),
        to_run(plans, other, "a"),
        to_publish(plans, other, "a"),
    ]
    assert len(set(made)) == 4
    assert [plan.attributes["messaging.system"] for plan in made] == ["memory", "memory", "redis", "redis"]
    assert to_run(plans, app, "a") is made[0]


@pytest.mark.parametrize("planned", [to_run, to_publish])
def test_few_plans_are_kept_however_many_names_there_are(app, planned, monkeypatch):
    monkeypatch.setattr(_plans, "_MOST_PLANS", 100)
    plans = plans_of()
    for number in range(1000):
        assert planned(plans, app, f"invented.{number}").route.name == f"invented.{number}"
        assert len(plans._of(app)) <= 100


@pytest.mark.parametrize("planned", [to_run, to_publish])
@pytest.mark.parametrize("names", [(LONG, "celery", ""), ("shop.add", LONG, ""), ("shop.add", "celery", LONG)])
def test_nothing_is_kept_under_a_long_name(app, planned, names):
    plans = plans_of()
    plan = planned(plans, app, *names)
    assert plan.route.name == names[0]
    assert plans._of(app) == {}
    planned(plans, app, *(name[:LONGEST_NAME] for name in names))
    assert len(plans._of(app)) == 1


def test_the_plans_of_an_app_go_with_it():
    plans = plans_of()
    app = Celery("gone", broker="memory://", set_as_current=False)
    gone = weakref.ref(app)
    to_run(plans, app, "shop.add")
    to_run(plans, Celery("latest", broker="memory://", set_as_current=False), "shop.add")
    app.close()
    del app
    gc.collect()
    assert gone() is None or len(plans._of_apps) <= 2


def test_few_decisions_and_texts_are_kept_with_a_plan(app):
    plan = to_run(plans_of(), app, "shop.add")
    for number in range(2000):
        stamp = plan.stamp(Decision("link", f"invented-{number}", 1))
        assert stamp.attributes["celery.propagation.reason"] == f"invented-{number}"
        plan.keep(f"text {number}", Reading(NOTHING, stamp))
    assert len(plan._stamps) <= _plans._MOST_STAMPS == 256
    assert len(plan.readings) <= 256
    assert plan.readings["text 1999"].stamp is plan.stamp(stamp.decision)


def test_the_readings_of_invented_reasons_are_bounded_too(shop):
    task = shop.task("shop.add")
    for number in range(300):
        reason = "".join(chr(97 + int(digit)) for digit in str(number))
        shop.run(task, {"celery-otel-links": f"v=1;t=1.000000;mode=child;reason={reason};rank=9"})
    _, plans = shop.instrumentor.telemetry.settle(shop.app)
    plan = to_run(plans, shop.app, "shop.add", task=task)
    assert 0 < len(plan.readings) <= 256
    assert len(plan._stamps) <= 256


@pytest.mark.parametrize("kind", ["celery.map", "celery.starmap", "celery.chunks"])
def test_a_mapper_has_a_plan_for_each_task_that_it_runs(app, kind):
    plans = plans_of(tasks={"shop.add": "none"})
    inner = [{"task": {"task": name}} for name in ("shop.add", "shop.mail")]
    add, mail = [to_run(plans, app, kind, kwargs=kwargs) for kwargs in inner]
    assert (add.route.name, add.route.rule_name) == (kind, "shop.add")
    assert [plan.decide().mode for plan in (add, mail)] == ["none", "child"]


class Linked:
    otel_propagation = "link"


@pytest.mark.parametrize(
    ("config", "task", "decision", "reserves"),
    [
        ({}, Linked, Decision("link", "task", 2), True),
        (
            {"default": "link"},
            None,
            Decision("link", "default", RANKS["default"]),
            False,
        ),  # a worker may know better
        ({"default": "link"}, object(), Decision("link", "default", RANKS["default"]), True),
        ({"trust": {"celery": "link"}}, Linked, Decision("link", "task", 2), False),
    ],
)
def test_a_publisher_reserves_where_it_knows_that_the_worker_links(app, config, task, decision, reserves):
    plan = to_publish(plans_of(**config), app, "shop.add", task=task)
    assert plan.decide() == decision
    assert plan.reserves(decision) is reserves
    assert plan.reserves(Decision("link", "call", 1)) is ("trust" not in config)


@pytest.mark.parametrize("mode", ["lnik", None, 7, ["link"]])
def test_a_task_whose_mode_is_none_is_as_good_as_one_that_says_nothing(app, mode):
    task = type("Task", (), {"otel_propagation": mode})
    assert to_run(plans_of(), app, "shop.add", task=task).decide() == Decision("child", "default", RANKS["default"])
