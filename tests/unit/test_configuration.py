"""Where the configuration stands, what outranks what, and what becomes of what is wrong."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from celery import Celery

from celery_otel_links import Config, ConfigError
from celery_otel_links._config import notices
from celery_otel_links._config.sources import Configuration

LINK = {"default": "link"}


@pytest.fixture(autouse=True)
def _nothing_said_yet(caplog):
    caplog.set_level(logging.DEBUG, "celery_otel_links")
    notices.forget()


def new_app(**conf):
    app = Celery("shop", set_as_current=False)
    app.conf.update(conf)
    return app


def configured(**conf):
    app = new_app(**conf)
    assert app.conf.task_default_queue == "celery"  # reading it is what configures an app
    return app


def in_settings(namespace=None, **settings):
    app = Celery("shop", set_as_current=False)
    app.config_from_object(SimpleNamespace(**settings), namespace=namespace)
    return app


def configuration(app=None, *, environ=(), **told):
    return Configuration(app=app, environ=dict(environ), **told)


def lines(caplog, level):
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.mark.parametrize(
    "app",
    [
        in_settings("CELERY", CELERY_OTEL_LINKS=LINK),
        configured(otel_links=LINK),
        configured(OTEL_LINKS=LINK),
        configured(otel_links=Config(default="link")),
        Celery("shop", set_as_current=False, otel_links=LINK),
    ],
    ids=["Django's namespace", "lower case", "upper case", "a Config", "made with it"],
)
def test_an_app_can_be_configured_in_these_ways(app):
    assert configuration(app).of(app) == Config(default="link")
    assert configuration().of(app) == Config(default="link")


def test_an_app_that_says_nothing_has_the_defaults():
    assert configuration().of(new_app()) == Config()


ENVIRON = {"CELERY_OTEL_LINKS_DEFAULT": "none"}
SOURCES = [  # contrib, the app, the file, the environment -> the mode
    (False, {}, {}, {}, "child"),
    (True, {}, {}, {}, "link"),
    (True, {"default": "child"}, {}, {}, "child"),
    (False, {"default": "child"}, {"default": "link"}, {}, "link"),
    (True, {}, {"default": "child"}, {}, "child"),
    (False, {"default": "child"}, {"default": "link"}, ENVIRON, "none"),
    (True, {}, {}, ENVIRON, "none"),
]


@pytest.mark.parametrize(("links", "app", "file", "environ", "mode"), SOURCES)
def test_the_source_that_counts_most_says_the_mode(links, app, file, environ, mode):
    app = new_app(otel_links=app)
    told = configuration(app, options=file, environ=environ)
    if links:
        told.link_by_default()
    assert told.of(app).default == mode


def test_sources_are_joined_key_by_key():
    app = new_app(otel_links={"default": "link", "fan_out": "child"})
    told = configuration(app, options={"fan_in": True}, environ=ENVIRON).of(app)
    assert told == Config(default="none", fan_out="child", fan_in=True)


def test_what_setup_is_given_stands_in_place_of_the_apps():
    app = configured(otel_links={"fan_out": "none"})
    assert configuration(app, given=LINK).of(app) == Config(default="link")


def test_nothing_outranks_a_whole_config_but_the_switch():
    app = new_app()
    assert configuration(app, given=Config(), environ=ENVIRON).of(app) == Config()
    off = {"CELERY_OTEL_LINKS_ENABLED": "false"}
    assert configuration(app, given=Config(), environ=off).of(app) == Config(enabled=False)


def test_contribs_links_count_after_the_configuration_has_been_read_too():
    app = new_app()
    told = configuration(app)
    assert told.of(app).default == "child"
    told.link_by_default()
    assert told.of(app).default == "link"


def test_contribs_links_count_without_an_app_of_setup():
    app = new_app()
    told = configuration()
    assert told.of(app).default == "child"
    told.link_by_default()
    assert told.of(app).default == "link"


# What is wrong


WRONG = {"default": "lnik", "fan_out": "child", "tasks": {"a.*": "link", "b.*": "lnk"}, "fan_on": True}
MODES = "is not a propagation mode; allowed: child, link, none. Did you mean 'link'?"
SAID = [
    f"app.conf.otel_links['default']: 'lnik' {MODES}",
    f"app.conf.otel_links['tasks']['b.*']: 'lnk' {MODES}",
    "app.conf.otel_links: 'fan_on' is not an option; allowed: ",
]


def test_what_is_wrong_stops_what_comes_up_and_all_of_it_is_said():
    app = configured(otel_links=WRONG)
    with pytest.raises(ConfigError) as raised:
        configuration(app).checked(app)
    for line, said in zip(str(raised.value).splitlines(), SAID, strict=True):
        assert line.startswith(said)


def test_what_is_wrong_in_settings_that_are_not_loaded_yet_is_found_as_far_as_it_is_known():
    app = new_app(otel_links=WRONG)
    with pytest.raises(ConfigError):
        configuration(app).checked(app)
    assert not app.configured, "looking has no side effect"


def test_once_it_runs_the_default_stands_for_what_is_wrong_and_the_rest_holds(caplog):
    app = configured(otel_links=WRONG)
    config = configuration(app).of(app)
    assert (config.default, config.fan_out, config.tasks.rules) == ("child", "child", {"a.*": "link"})
    errors = lines(caplog, logging.ERROR)
    assert len(errors) == 3
    for line, said in zip(errors, SAID, strict=True):
        assert line.startswith(said)
        assert line.endswith("The default stands in its place.")


def test_each_thing_that_is_wrong_is_logged_once(caplog):
    app = configured(otel_links=WRONG)
    for told in (configuration(app), configuration(app)):
        told.report(app)
        told.of(app)
    assert len(lines(caplog, logging.ERROR)) == 3


@pytest.mark.parametrize("value", ["link", ["default"], 3])
def test_a_configuration_that_is_no_mapping_is_the_defaults_once_it_runs(value, caplog):
    app = configured(otel_links=value)
    assert configuration(app).of(app) == Config()
    assert len(lines(caplog, logging.ERROR)) == 1


def test_a_value_that_can_not_even_be_shown_costs_nothing(caplog):
    class Rude:
        def __repr__(self):
            raise RuntimeError("no")

    app = configured(otel_links={"default": Rude()})
    assert configuration(app).of(app) == Config()
    assert "can't be read" in lines(caplog, logging.ERROR)[0]


def test_settings_that_can_not_be_loaded_cost_nothing_of_ours(caplog):
    app = Celery("shop", set_as_current=False, config_source="there_is_no_such_module")
    assert configuration(app).of(app) == Config()
    assert "there_is_no_such_module" in lines(caplog, logging.ERROR)[0]


def task_with(mode):
    app = configured()

    @app.task(shared=False, name="shop.add", otel_propagation=mode)
    def add():
        """Only its mode matters."""

    return app


@pytest.mark.parametrize("mode", ["lnik", 3, ["link"]])
def test_a_wrong_mode_on_a_task_names_the_task(mode):
    app = task_with(mode)
    configuration(app).checked(app)  # its tasks are not known yet
    app.finalize()
    with pytest.raises(ConfigError, match=r"^task 'shop\.add': otel_propagation: .* allowed: child, link, none"):
        configuration(app).checked(app)


def test_the_tasks_of_another_app_than_that_of_setup_are_looked_at_too():
    other = task_with("lnik")
    other.finalize()
    with pytest.raises(ConfigError, match=r"shop\.add"):
        configuration(configured()).checked(other)


def test_options_of_a_file_stop_nobody_and_name_the_nearest(caplog):
    told = configuration(options={"defualt": "link", "fan_out": "lnik", "delay_threshold": 5, "tracer_providr": None})
    config = told.checked(new_app()).config
    assert config == Config(delay_threshold=5)
    warnings = lines(caplog, logging.WARNING)
    for name, near in (("'defualt'", "'default'"), ("'lnik'", "'link'"), ("'tracer_providr'", "'tracer_provider'")):
        (line,) = [line for line in warnings if name in line]
        assert line.startswith("instrument() or celery_links in a configuration file")
        assert line.endswith(f"Did you mean {near}?")


# More than one setup


def test_another_setup_with_the_same_configuration_is_welcome():
    first, second = configured(otel_links=LINK), configured(otel_links=LINK)
    told = configuration(first)
    told.join(second, None)
    told.join(second, LINK)
    assert told.app is first


@pytest.mark.parametrize("read_before", [True, False])
def test_another_setup_with_another_configuration_is_refused(read_before):
    app = configured(otel_links=LINK)
    told = configuration(app)
    if read_before:
        told.of(app)
    with pytest.raises(ConfigError, match="traced with another configuration already: Config"):
        told.join(configured(otel_links={"default": "none"}), None)
    with pytest.raises(ConfigError, match="another configuration"):
        told.join(configured(), {"default": "none"})


def test_another_setup_that_says_nothing_joins():
    told = configuration(configured(otel_links=LINK))
    told.join(configured(), None)
    assert told.of(new_app()).default == "link"


def test_what_the_first_setup_is_given_counts_where_the_entry_point_came_before_it():
    told = configuration()
    told.join(app := new_app(), LINK)
    assert told.of(new_app(otel_links={"default": "none"})).default == "link"
    assert told.app is app
