"""What is said of names that are almost ours, and of modes in calls."""

from __future__ import annotations

import logging

import pytest

from celery_otel_links import Config
from celery_otel_links._config import notices
from tests.unit.test_configuration import LINK, MODES, configuration, configured, in_settings, lines, new_app


@pytest.fixture(autouse=True)
def _nothing_said_yet(caplog):
    caplog.set_level(logging.DEBUG, "celery_otel_links")
    notices.forget()


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("CELERY_OTEL_LINKS_DEFUALT", "CELERY_OTEL_LINKS_DEFAULT"),
        ("CELERY_OTEL_LINK_DEFAULT", "CELERY_OTEL_LINKS_DEFAULT"),
        ("CELERY_OTELLINKS_FAN_OUT", "CELERY_OTEL_LINKS_FAN_OUT"),
        ("CELERY_OTEL_LINKS_OF_ANOTHER_RELEASE", None),
        ("CELERY_OTEL_LINKS_PUBLISH_HOOK", None),
        ("CELERY_OTEL_LINKS", None),
        ("CELERY_OTEL_LINK", None),
    ],
)
def test_a_variable_that_is_none_of_ours_warns_once_and_stops_nobody(variable, near, caplog):
    app = new_app()
    for _ in range(2):
        assert configuration(app, environ={variable: "link"}).checked(app).config == Config()
    (line,) = lines(caplog, logging.WARNING)
    assert line.startswith(
        f"environment: {variable!r} is not an option; allowed: CELERY_OTEL_LINKS_ and one of ENABLED, "
    )
    assert near is None or line.endswith(f"Did you mean {near!r}?")


@pytest.mark.parametrize("variable", ["CELERY_BROKER_URL", "OTEL_SERVICE_NAME", "CELERY_OTEL_LINKS_DEFAULT", "LINKS"])
def test_variables_that_are_right_or_nothing_like_ours_are_no_matter(variable, caplog):
    configuration(environ={variable: "link"}).checked(new_app())
    assert lines(caplog, logging.WARNING) == []


@pytest.mark.parametrize(
    "app",
    [
        configured(otel_link=LINK),
        configured(otel_lniks=LINK),
        configured(celery_otel_links=LINK),
        in_settings("CELERY", CELERY_OTEL_LINK=LINK),
        in_settings(None, CELERY_OTEL_LINKS=LINK),
    ],
    ids=["otel_link", "otel_lniks", "celery_otel_links", "Django", "no namespace"],
)
def test_a_mapping_under_a_name_that_is_almost_right_is_noticed(app, caplog):
    assert configuration(app).of(app) == Config()
    configuration(app).report(app)
    (line,) = lines(caplog, logging.WARNING)
    assert line.startswith("app.conf: '")
    assert line.endswith("Did you mean 'otel_links'?")


def test_other_settings_are_no_matter(caplog):
    app = configured(otel_links=LINK, otel_service=LINK, links=LINK, otel_link="no mapping")
    configuration(app).of(app)
    assert lines(caplog, logging.WARNING) == []


def test_a_mode_of_a_call_is_one_or_is_logged_once_per_task(caplog):
    assert [notices.mode_of_call(mode, "shop.add") for mode in ("child", "link", "none", None)] == [
        "child",
        "link",
        "none",
        None,
    ]
    assert caplog.records == []
    for value in ("lnik", "LINK", 7, ["link"]):
        assert notices.mode_of_call(value, "shop.add") is None
    assert notices.mode_of_call("lnik", "shop.sub") is None
    assert lines(caplog, logging.ERROR) == [
        f"a call of task {name!r}: otel_propagation: 'lnik' {MODES} It is ignored." for name in ("shop.add", "shop.sub")
    ]


def test_what_is_kept_in_mind_is_bounded(caplog):
    for number in range(notices.MOST_NOTICES + 10):
        notices.mode_of_call("lnik", f"task-{number}")
    assert len(lines(caplog, logging.ERROR)) == notices.MOST_NOTICES
    assert len(notices._said) == notices.MOST_NOTICES
