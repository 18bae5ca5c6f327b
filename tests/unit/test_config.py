"""The configuration: every option right and wrong, in every place where it can be written."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.exceptions import ImproperlyConfigured

from celery_otel_links import Config, ConfigError
from celery_otel_links._config.modes import Patterns, mode_of
from celery_otel_links._config.options import ENVIRONMENT_PREFIX
from celery_otel_links._config.sources import check_tasks, read_config


def hook(span, about):
    """Does nothing."""


# Per option: values that are right with what becomes of them, and wrong ones with a part of the message.
OPTIONS = {
    "default": (
        [("link", "link")],
        [("lnik", "Did you mean 'link'?"), (None, "child, link, none"), (["link"], "mode")],
    ),
    "tasks": (
        [({"a.*": "link"}, Patterns({"a.*": "link"})), ({}, Patterns())],
        [
            (["a.*"], "not a mapping of patterns to modes"),
            ({"a.*": "lnik"}, "['a.*']: 'lnik' is not a propagation mode"),
            ({"": "link"}, "'' is not a pattern"),
            ({7: "link"}, "7 is not a pattern"),
        ],
    ),
    "queues": ([({"b*": "none"}, Patterns({"b*": "none"}))], [("bulk", "not a mapping of patterns to modes")]),
    "fan_out": ([("child", "child")], [("", "propagation mode"), (True, "propagation mode")]),
    "fan_out_threshold": (
        [(0, 0), (50, 50), (None, None)],
        [(-1, "a whole number, 0 or more, or None"), (2.5, "whole"), ("20", "whole"), (True, "whole")],
    ),
    "delay_threshold": (
        [(0, 0), (0.5, 0.5), (None, None)],
        [(-0.1, "a number of seconds, 0 or more"), (float("nan"), "nan"), (float("inf"), "inf"), ("1", "seconds")],
    ),
    "baggage": (
        [(True, True), (False, False), (["tenant"], frozenset({"tenant"})), ((), frozenset())],
        [("tenant", "neither true, false nor a list"), (None, "not a list"), ([""], "list of names"), ([1], "list")],
    ),
    "fan_in": ([(True, True), (False, False), (None, None)], [("yes", "'yes' is not one of true, false"), (1, "true")]),
    "trust": ([({"p": "link"}, Patterns({"p": "link"}))], [({"p": "chlid"}, "Did you mean 'child'?")]),
    "flush_timeout": ([(0, 0), (2.5, 2.5)], [(None, "a number of seconds"), (-1, "0 or more"), ([], "seconds")]),
    "flush_interval": ([(1, 1), (None, None)], [(-1, "0 or more, or None")]),
    "exclude": (
        [(["a", "b.*"], Patterns({"a": "none", "b.*": "none"})), ([], Patterns())],
        [("a", "'a' is not a list of names"), ([None], "list of names")],
    ),
    "publish_hook": ([(hook, hook), (None, None)], [("shop.hook", "cannot be called")]),
    "run_hook": ([(hook, hook)], [(3, "cannot be called")]),
}
RIGHT = [(key, value, expected) for key, (right, _) in OPTIONS.items() for value, expected in right]
WRONG = [(key, value, part) for key, (_, wrong) in OPTIONS.items() for value, part in wrong]
ENVIRONMENT = [
    ("DEFAULT", " link ", "link"),
    ("TASKS", "reports.*=link, *=child", Patterns({"reports.*": "link", "*": "child"})),
    ("TASKS", "", Patterns()),
    ("QUEUES", "a=b*=none", Patterns({"a=b*": "none"})),
    ("FAN_OUT", "none", "none"),
    ("FAN_OUT_THRESHOLD", "5", 5),
    ("FAN_OUT_THRESHOLD", "None", None),
    ("DELAY_THRESHOLD", "1.5", 1.5),
    ("BAGGAGE", "FALSE", False),
    ("BAGGAGE", "1", True),
    ("BAGGAGE", "tenant, plan", frozenset({"tenant", "plan"})),
    ("FAN_IN", "true", True),
    ("TRUST", "public=link", Patterns({"public": "link"})),
    ("FLUSH_TIMEOUT", "2", 2),
    ("FLUSH_INTERVAL", "", None),
    ("EXCLUDE", "a,b", Patterns({"a": "none", "b": "none"})),
]
ENVIRONMENT_WRONG = [
    ("DEFAULT", "linked", "Did you mean 'link'?"),
    ("TASKS", "reports.*", "like 'reports.*=link,bulk*=child'"),
    ("TASKS", "reports.*=", "'' is not a propagation mode"),
    ("FAN_OUT_THRESHOLD", "many", "'many' is not a number"),
    ("FAN_OUT_THRESHOLD", "2.5", "2.5 is not a whole number"),
    ("DELAY_THRESHOLD", "NaN", "nan is not a number of seconds"),
    ("FAN_IN", "perhaps", "'perhaps' is not one of true, false"),
    ("FLUSH_TIMEOUT", "none", "None is not a number of seconds"),
    ("DEFUALT", "link", "Did you mean 'default'?"),
    ("PUBLISH_HOOK", "shop.hook", "is not an option"),
]


def test_the_tables_hold_every_option():
    assert list(OPTIONS) == [option.name for option in fields(Config)]
    in_text = {ENVIRONMENT_PREFIX + name for name, *_ in ENVIRONMENT}
    hooks = {"publish_hook", "run_hook"}
    assert in_text == {ENVIRONMENT_PREFIX + key.upper() for key in OPTIONS if key not in hooks}


def test_nothing_configured_is_the_defaults():
    assert Config.from_mapping(environ={}) == Config.from_mapping({}, environ={"PATH": "/bin"}) == Config()
    with pytest.raises(FrozenInstanceError):
        Config().default = "link"


@pytest.mark.parametrize(("key", "value", "expected"), RIGHT)
def test_a_right_value_is_taken(key, value, expected):
    assert getattr(Config.from_mapping({key: value}, environ={}), key) == expected


@pytest.mark.parametrize(("key", "value", "part"), WRONG)
def test_a_wrong_value_is_refused_naming_where_what_and_what_is_allowed(key, value, part):
    with pytest.raises(ConfigError, match=re.escape(part)) as raised:
        Config.from_mapping({key: value}, environ={}, where="here")
    assert str(raised.value).startswith(f"here[{key!r}]")


@pytest.mark.parametrize(("name", "text", "expected"), ENVIRONMENT)
def test_the_environment_says_the_same_in_text(name, text, expected):
    config = Config.from_mapping(environ={ENVIRONMENT_PREFIX + name: text})
    assert getattr(config, name.lower()) == expected


@pytest.mark.parametrize(("name", "text", "part"), ENVIRONMENT_WRONG)
def test_a_wrong_variable_is_named(name, text, part):
    with pytest.raises(ConfigError, match=re.escape(part)) as raised:
        Config.from_mapping(environ={ENVIRONMENT_PREFIX + name: text})
    assert str(raised.value).startswith(ENVIRONMENT_PREFIX + name)


def test_the_environment_outranks_the_mapping_key_by_key():
    environ = {"CELERY_OTEL_LINKS_DEFAULT": "none"}
    config = Config.from_mapping({"default": "link", "fan_out": "child"}, environ=environ)
    assert (config.default, config.fan_out) == ("none", "child")


@pytest.mark.parametrize(
    ("key", "near"), [("defualt", "default"), ("fan_out_treshold", "fan_out_threshold"), ("Tasks", "tasks")]
)
def test_a_misspelt_option_gets_a_suggestion(key, near):
    with pytest.raises(ConfigError) as raised:
        Config.from_mapping({key: "link"}, environ={}, where="app.conf.otel_links")
    message = str(raised.value)
    assert message.startswith(f"app.conf.otel_links: {key!r} is not an option; allowed: default, tasks, ")
    assert message.endswith(f"Did you mean {near!r}?")


def test_what_resembles_nothing_gets_no_suggestion():
    with pytest.raises(ConfigError) as raised:
        Config.from_mapping({"zzz": 1}, environ={})
    assert "Did you mean" not in str(raised.value)


@pytest.mark.parametrize("value", [["default"], "link", 3])
def test_the_whole_has_to_be_a_mapping(value):
    with pytest.raises(ConfigError, match="is not a mapping of options"):
        Config.from_mapping(value, environ={})


def test_it_is_what_celery_calls_improperly_configured():
    assert issubclass(ConfigError, ImproperlyConfigured)


def test_a_number_too_big_for_a_float_is_a_number():
    assert Config.from_mapping({"delay_threshold": 10**400}, environ={}).delay_threshold == 10**400


def test_mode_of_says_where():
    assert mode_of("none", "there") == "none"
    with pytest.raises(ConfigError, match=r"^there: 'nope' is not a propagation mode; allowed: child, link, none"):
        mode_of("nope", "there")


@pytest.mark.parametrize(
    ("name", "expected"), [("a.b", "link"), ("a.", "link"), ("b", None), ("xa.b", None), ("a.b\n", "link")]
)
def test_the_first_pattern_that_matches_the_whole_name_speaks(name, expected):
    assert Patterns({"a.*": "link", "a.b": "none"}).first(name) == expected


def test_the_order_of_patterns_is_part_of_them():
    assert Patterns({"a": "link", "b": "none"}) != Patterns({"b": "none", "a": "link"})


def django():
    app = Celery("shop", set_as_current=False)
    app.config_from_object(SimpleNamespace(CELERY_OTEL_LINKS={"default": "link"}), namespace="CELERY")
    return app


def configured(**conf):
    app = Celery("shop", set_as_current=False)
    app.conf.update(conf)
    return app


@pytest.mark.parametrize(
    "app",
    [
        django(),
        configured(otel_links={"default": "link"}),
        configured(OTEL_LINKS={"default": "link"}),
        configured(otel_links=Config(default="link")),
    ],
    ids=["Django's namespace", "lower case", "upper case", "a Config"],
)
def test_an_app_can_be_configured_in_these_ways(app):
    assert read_config(app).default == "link"


def test_an_app_that_says_nothing_has_the_defaults():
    assert read_config(configured()) == Config()


def test_a_wrong_value_in_an_app_names_the_app():
    with pytest.raises(ConfigError, match=r"^app\.conf\.otel_links\['default'\]: 'lnik'"):
        read_config(configured(otel_links={"default": "lnik"}))


def test_a_wrong_mode_on_a_task_names_the_task():
    app = configured()
    app.task(shared=False, name="shop.add", otel_propagation="lnik")(hook)
    app.finalize()
    with pytest.raises(ConfigError, match=r"^task 'shop\.add': otel_propagation: 'lnik' .* Did you mean 'link'\?"):
        check_tasks(app)
