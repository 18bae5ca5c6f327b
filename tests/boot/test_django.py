"""A Django project: its system check finds what is wrong, and its pages work nevertheless."""

from __future__ import annotations

import json
import sys

import pytest

from tests.boot.programs import DJANGO_SHOP, ZERO_CODE, python, run

pytest.importorskip("django")

WRONG = {"CELERY_OTEL_LINKS": {"default": "lnik", "fan_out": "child"}}
SAID = (
    "app.conf.otel_links['default']: 'lnik' is not a propagation mode; allowed: child, link, none. Did you mean 'link'?"
)
MANAGE = [sys.executable, "manage.py", "check"]
QUIET = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


def shop(settings=None, **env):
    return {"SHOP_SETTINGS": json.dumps(settings or {}), **env}


def checked(settings=None, **env):
    return run(MANAGE, shop(settings, **env), DJANGO_SHOP)


def test_a_project_that_is_right_passes():
    ended = checked({"CELERY_OTEL_LINKS": {"default": "link"}})
    assert (ended.status, ended.out) == (0, "System check identified no issues (0 silenced).\n"), ended.output


def test_what_is_wrong_is_an_error():
    ended = checked(WRONG)
    assert ended.status == 1
    assert f"(celery_otel_links.E001) {SAID}" in ended.err


@pytest.mark.parametrize(
    ("settings", "env", "said"),
    [
        ({"CELERY_OTEL_LINK": {"default": "link"}}, {}, "'CELERY_OTEL_LINK' is not read"),
        ({}, {"CELERY_OTEL_LINKS_DEFUALT": "link"}, "'CELERY_OTEL_LINKS_DEFUALT' is not an option"),
    ],
)
def test_what_may_be_a_mistake_is_a_warning(settings, env, said):
    ended = checked(settings, **env)
    assert ended.status == 0
    assert "?: (celery_otel_links.W001) " in ended.err
    assert said in ended.err


def test_the_zero_code_command_checks_as_well():
    ended = run([ZERO_CODE, *MANAGE], shop(WRONG, SHOP_ZERO_CODE="1", **QUIET), DJANGO_SHOP)
    assert ended.status == 1, ended.output
    assert f"(celery_otel_links.E001) {SAID}" in ended.err


def test_nothing_is_checked_where_nothing_is_to_be_done():
    ended = checked({"CELERY_OTEL_LINKS": {"default": "lnik", "enabled": False}}, CELERY_OTEL_LINKS_ENABLED="false")
    assert ended.status == 0, ended.output


PAGES = """
import django, json
from shop.celery import app
django.setup()
from django.test import Client
messages = []
from celery.signals import before_task_publish
before_task_publish.connect(lambda headers, **_: messages.append(headers.get("celery-otel-links")), weak=False)
answers = [Client().get("/order").status_code for _ in range(3)]
print(json.dumps([answers, messages]))
"""


@pytest.mark.parametrize("zero_code", [False, True], ids=["set up", "zero code"])
def test_no_page_fails_and_every_message_goes_out_with_the_rest_of_the_configuration(zero_code):
    env = shop(WRONG, **QUIET, **({"SHOP_ZERO_CODE": "1"} if zero_code else {}))
    ended = python(PAGES, env, DJANGO_SHOP, zero_code=zero_code)
    assert ended.status == 0, ended.output
    answers, messages = json.loads(ended.out)
    assert answers == [200, 200, 200]
    assert [message.count("v=1") for message in messages] == [1, 1, 1]
    assert ended.err.count(SAID) == 1, ended.err


@pytest.mark.parametrize(
    ("settings", "env", "said"),
    [
        (WRONG, {}, SAID),
        ({}, {"CELERY_OTEL_LINKS_FAN_IN": "perhaps"}, "CELERY_OTEL_LINKS_FAN_IN: 'perhaps' is not one of"),
    ],
    ids=["settings", "environment"],
)
@pytest.mark.parametrize("zero_code", [False, True], ids=["set up", "zero code"])
def test_a_worker_does_not_start_with_what_is_wrong(settings, env, said, zero_code):
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", "--pool", "solo", "--loglevel", "INFO"]
    own = {**env, **QUIET, **({"SHOP_ZERO_CODE": "1"} if zero_code else {})}
    ended = run([*([ZERO_CODE] if zero_code else []), *command], shop(settings, **own), DJANGO_SHOP)
    assert ended.status != 0
    assert "ConfigError" in ended.output
    assert said in ended.output
    assert "ready." not in ended.output
