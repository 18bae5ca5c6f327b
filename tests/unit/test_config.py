"""Options: every one right and wrong, as a value and as a text."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import FrozenInstanceError, fields
from typing import get_type_hints

import pytest
from celery.exceptions import ImproperlyConfigured

import celery_otel_links
from celery_otel_links import Config, ConfigError
from celery_otel_links._config.modes import Patterns, mode_of
from celery_otel_links._config.options import ENVIRONMENT_PREFIX, OPTIONS, Options


def hook(span, about):
    """Does nothing."""


# Per option: values that are right with what becomes of them, and wrong ones with a part of the message.
VALUES = {
    "enabled": (
        [(True, True), (False, False)],
        [("no", "'no' is not one of true, false"), (None, "true, false"), (0, "true")],
    ),
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
    "exclude": (
        [(["a", "b.*"], Patterns({"a": "none", "b.*": "none"})), ([], Patterns())],
        [("a", "'a' is not a list of names"), ([None], "list of names")],
    ),
    "flush_timeout": ([(0, 0), (2.5, 2.5)], [(None, "a number of seconds"), (-1, "0 or more"), ([], "seconds")]),
    "flush_interval": ([(1, 1), (None, None)], [(-1, "0 or more, or None")]),
    "contrib_names": ([(True, True)], [("yes", "'yes' is not one of true, false")]),
    "histograms": (
        [(["celery.task.duration"], ("celery.task.duration",)), ([], ())],
        [
            (
                ["celery.task.duratoin"],
                "'celery.task.duratoin' is not a histogram; allowed: celery.task.latency.queue, ",
            ),
            (["celery.task.duratoin"], "Did you mean 'celery.task.duration'?"),
            ("celery.task.duration", "is not a list of names"),
        ],
    ),
    "started_after": (
        [(30, 30), (0.5, 0.5), (None, None)],
        [("30", "a number of seconds"), (-1, "0 or more, or None")],
    ),
    "publish_hook": ([(hook, hook), (None, None)], [("shop.hook", "cannot be called")]),
    "run_hook": ([(hook, hook)], [(3, "cannot be called")]),
}
RIGHT = [(key, value, expected) for key, (right, _) in VALUES.items() for value, expected in right]
WRONG = [(key, value, part) for key, (_, wrong) in VALUES.items() for value, part in wrong]
ENVIRONMENT = [
    ("ENABLED", "false", False),
    ("ENABLED", "1", True),
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
    ("FAN_IN", "none", None),
    ("EXCLUDE", "a,b", Patterns({"a": "none", "b": "none"})),
    ("CONTRIB_NAMES", "True", True),
    (
        "HISTOGRAMS",
        "celery.task.duration, messaging.process.duration",
        ("celery.task.duration", "messaging.process.duration"),
    ),
    ("HISTOGRAMS", "", ()),
    ("STARTED_AFTER", "2.5", 2.5),
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
    ("ENABLED", "no", "'no' is not one of true, false"),
    ("HISTOGRAMS", "duration", "'duration' is not a histogram"),
]


def test_the_tables_hold_every_option():
    assert list(VALUES) == list(OPTIONS) == [option.name for option in fields(Config)]
    assert {name for name, *_ in ENVIRONMENT} == {key.upper() for key in OPTIONS} - {"PUBLISH_HOOK", "RUN_HOOK"}


def test_the_version_is_that_of_the_package():
    assert celery_otel_links.__version__ == importlib.metadata.version("celery-otel-links")


def test_a_type_checker_knows_every_option():
    assert list(get_type_hints(Options)) == list(OPTIONS)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_what_is_declared_of_an_option_is_true(option):
    assert getattr(Config(), option.name) == option.kind.read(option.default, "")
    assert option.meaning
    assert (option.text is None) == (option.kind.parse is None)
    if option.text is not None:
        shown = Config.from_mapping(environ={option.variable: option.text})
        assert getattr(shown, option.name) != getattr(Config(), option.name), "an example shows something else"


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
    assert message.startswith(f"app.conf.otel_links: {key!r} is not an option; allowed: enabled, default, ")
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


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as raised:
        Config.from_mapping(
            {"defualt": "link", "tasks": {"a": "lnik", "b": "link", "": "none"}},
            environ={"CELERY_OTEL_LINKS_FAN_IN": "?"},
        )
    wheres = [line.partition(": ")[0] for line in str(raised.value).splitlines()]
    assert wheres == ["otel_links", "otel_links['tasks']['a']", "otel_links['tasks']", "CELERY_OTEL_LINKS_FAN_IN"]


def test_a_variable_of_another_release_stops_nobody():
    assert Config.from_mapping(environ={"CELERY_OTEL_LINKS_DEFUALT": "link"}) == Config()


def test_names_from_messages_are_not_kept():
    patterns = Patterns({"a.*": "link"})
    before = len(vars(patterns)), repr(vars(patterns))
    assert patterns.first("a." + "x" * 10_000) == "link"
    assert (len(vars(patterns)), repr(vars(patterns))) == before
    assert not hasattr(patterns.first, "cache_info")
