"""A producer comes up and publishes, whatever is configured; with `enabled: False` nothing is done at all."""

from __future__ import annotations

import json

import pytest

from tests.boot.programs import python

QUIET = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
START = """
import json, logging, sys
import celery, celery_otel_links
from celery import Celery, signals
from celery_otel_links import CeleryLinksInstrumentor
headers = []
signals.before_task_publish.connect(lambda headers, **_: globals()["headers"].append(headers), weak=False)
before = {name: len(getattr(signals, name).receivers) for name in ("before_task_publish", "task_prerun")}
send_task = celery.Celery.send_task
app = Celery("shop", broker="memory://", set_as_current=False)
def untouched():
    after = {name: len(getattr(signals, name).receivers) for name in before}
    ours = [name for names in headers for name in names if "otel" in name or "trace" in name]
    return before == after and celery.Celery.send_task is send_task and not ours
"""
LATE = """
celery_otel_links.setup(app)
app.conf.otel_links = {"default": "lnik", "tasks": {"shop.*": "none", "*.add": "lnk"}, "fan_on": 1}
for _ in range(3):
    app.send_task("shop.add")
print(json.dumps(len([names for names in headers if "celery-otel-links" in names])))
"""


def test_a_producer_that_is_configured_too_late_loses_no_message_and_says_each_thing_once():
    ended = python(START + LATE)
    assert (ended.status, json.loads(ended.out)) == (0, 3), ended.output
    errors = [line for line in ended.err.splitlines() if "app.conf.otel_links" in line]
    assert len(errors) == 3, ended.err
    assert all(line.endswith("The default stands in its place.") for line in errors)


def test_setup_raises_for_what_is_known_by_then():
    code = 'app.conf.otel_links = {"default": "lnik"}\ncelery_otel_links.setup(app)'
    ended = python(START + code)
    assert ended.status == 1
    assert ended.err.splitlines()[-1].startswith(
        "celery_otel_links.ConfigError: app.conf.otel_links['default']: 'lnik'"
    )


def test_setup_raises_for_a_wrong_variable():
    ended = python(START + "celery_otel_links.setup(app)", {"CELERY_OTEL_LINKS_DEFAULT": "lnik"})
    assert ended.status == 1
    assert "ConfigError: CELERY_OTEL_LINKS_DEFAULT: 'lnik' is not a propagation mode" in ended.err


def test_the_zero_code_command_stops_no_other_instrumentation_for_a_wrong_variable():
    code = (
        START + 'app.send_task("shop.add")\nprint(CeleryLinksInstrumentor().is_instrumented_by_opentelemetry, headers)'
    )
    ended = python(code, {**QUIET, "CELERY_OTEL_LINKS_DEFAULT": "lnik", "CELERY_OTEL_LINKS_NEW": "1"}, zero_code=True)
    assert ended.status == 0
    assert ended.out.startswith("True")
    assert "'celery-otel-links'" in ended.out
    assert "Failed to auto initialize" not in ended.err
    assert ended.err.count("CELERY_OTEL_LINKS_DEFAULT: 'lnik'") == 1
    assert ended.err.count("'CELERY_OTEL_LINKS_NEW' is not an option") == 1


OFF = {
    "the environment": ("celery_otel_links.setup(app)", {"CELERY_OTEL_LINKS_ENABLED": "false"}),
    "what setup is given": ('celery_otel_links.setup(app, config={"enabled": False})', {}),
    "a Config": ("celery_otel_links.setup(app, config=celery_otel_links.Config(enabled=False))", {}),
    "an app that is configured": (
        'app.conf.otel_links = {"enabled": False}; app.conf.timezone; celery_otel_links.setup(app)',
        {},
    ),
    "an app that is made with it": ('app.conf.otel_links = {"enabled": False}; celery_otel_links.setup(app)', {}),
    "an app that is configured later": (
        'celery_otel_links.setup(app); app.config_from_object({"otel_links": {"enabled": False}})',
        {},
    ),
    "instrument": ("CeleryLinksInstrumentor().instrument(enabled=False)", {}),
    "an app that instrument does not know": (
        'app.conf.otel_links = {"enabled": False}; CeleryLinksInstrumentor().instrument()',
        {},
    ),
}


@pytest.mark.parametrize("name", OFF)
def test_nothing_at_all_is_done_where(name):
    code, env = OFF[name]
    ended = python(START + code + '\napp.send_task("shop.add")\nprint(untouched())', env)
    assert (ended.status, ended.out, ended.err) == (0, "True\n", "")


def test_the_zero_code_command_does_nothing_at_all_and_leaves_contrib_as_it_is():
    code = START + (
        'app.send_task("shop.add")\n'
        "from opentelemetry.instrumentation.celery import CeleryInstrumentor\n"
        "print(CeleryInstrumentor().is_instrumented_by_opentelemetry, headers[-1])"
    )
    ended = python(code, {**QUIET, "CELERY_OTEL_LINKS_ENABLED": "false"}, zero_code=True)
    assert ended.out.startswith("True"), ended.output
    assert "celery-otel-links" not in ended.out
    assert "is switched off" not in ended.err


def test_contrib_is_on_again_where_an_app_says_later_that_nothing_is_to_be_done():
    code = """
from opentelemetry.instrumentation.celery import CeleryInstrumentor
CeleryInstrumentor().instrument()
celery_otel_links.setup(app)
off = CeleryInstrumentor().is_instrumented_by_opentelemetry
app.config_from_object({"otel_links": {"enabled": False}})
app.send_task("shop.add")
print(off, CeleryInstrumentor().is_instrumented_by_opentelemetry)
"""
    assert python(START + code).out == "False True\n"


def test_setup_may_be_enabled_after_it_was_not():
    code = """
celery_otel_links.setup(app, config={"enabled": False})
CeleryLinksInstrumentor().instrument(enabled=False)
celery_otel_links.setup(app)
app.send_task("shop.add")
print(headers[-1])
"""
    ended = python(START + code)
    assert "'celery-otel-links'" in ended.out
    assert "already instrumented" not in ended.err


def test_an_eager_task_that_finds_out_that_nothing_is_to_be_done_leaves_nothing_behind():
    code = """
from opentelemetry import context
app.conf.otel_links = {"enabled": False}
CeleryLinksInstrumentor().instrument()
@app.task(name="shop.add")
def add():
    return dict(context.get_current())
print(add.apply().get(), dict(context.get_current()), untouched())
"""
    ended = python(START + code)
    assert (ended.out, ended.err) == ("{} {} True\n", "")
