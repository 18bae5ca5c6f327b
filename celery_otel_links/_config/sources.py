"""Where the configuration stands, and the one that holds.

From the one that counts least: what contrib was configured with; ``app.conf.otel_links``, or what ``setup`` is given
in its place; options of ``instrument``, where a declarative configuration file puts them; the environment.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

from celery import Celery

from celery_otel_links._config.conventions import tasks_of
from celery_otel_links._config.modes import TASK_ATTRIBUTE, ConfigError, mode_of
from celery_otel_links._config.near import odd_keys, odd_variables
from celery_otel_links._config.notices import log_once
from celery_otel_links._config.options import (
    ENVIRONMENT_PREFIX,
    KEY,
    OPTIONS,
    Config,
    Options,
    said_in,
    said_in_environment,
)
from celery_otel_links._errors import PASSING

ARGUMENTS = ("app", "config", "tracer_provider", "meter_provider")
"""What ``instrument`` takes beside the options."""
_VARIABLES = [option.variable for option in OPTIONS.values() if option.kind.parse is not None]
Given: TypeAlias = "Config | Options | Mapping[str, Any]"


class Reading(NamedTuple):
    """What was found when somebody looked."""

    config: Config
    """What holds: the default stands in place of what is wrong."""
    wrong: tuple[str, ...] = ()
    """What stops an application that comes up: each says where, what, what is allowed, and what was probably meant."""
    odd: tuple[str, ...] = ()
    """What stops nobody: it may be a mistake, or meant for another release."""

    def log(self) -> None:
        """Say once what was found."""
        for text in self.wrong:
            log_once(logging.ERROR, "%s The default stands in its place.", text, key=text)
        for text in self.odd:
            log_once(logging.WARNING, "%s", text, key=text)


class Configuration:
    """The configuration of this process: where it is read, and what it is as soon as it is needed."""

    def __init__(
        self,
        *,
        app: Celery | None = None,
        given: Given | None = None,
        options: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.app = app
        self.resolved: Config | None = None
        """The configuration, unless nobody needed it yet."""
        self._given = given
        self._options = options or {}
        self._environ = environ
        self.links_taken_over: bool = False
        """Whether contrib was configured to link."""

    def of(self, app: Celery) -> Config:
        """The configuration, read when it is first needed: from the app of ``setup``, or the first that is seen.

        Never raises: what is wrong by now is logged once, and the default stands in its place.
        """
        if self.resolved is None:
            self.resolved = self.report(app, load=True).config
        return self.resolved

    def checked(self, app: Celery | None) -> Reading:
        """Look at it while nothing runs yet.

        Raises:
            ConfigError: something in it is wrong, or a task of the app names a mode that there is not.
        """
        reading = self.look(app)
        if reading.wrong:
            raise ConfigError("\n".join(reading.wrong))
        reading.log()
        return reading

    def report(self, app: Celery | None, *, load: bool = False) -> Reading:
        """Look at it where nothing may be raised, and log what is wrong."""
        try:
            reading = self.look(app, load=load)
        except PASSING:
            raise
        except Exception as error:
            reading = Reading(Config(), (f"the configuration can't be read: {error!r}.",))
        reading.log()
        return reading

    def look(self, app: Celery | None, *, load: bool = False) -> Reading:
        """Read all sources now; the settings of an app that loads them later only with ``load``."""
        source = self.app or app
        mapping, place = self._given, "config"
        if mapping is None and source is not None:
            mapping, place = _mapping_in(source, load=load)
        odd = odd_variables(self._environ, ENVIRONMENT_PREFIX, _VARIABLES)
        if mapping is None and source is not None and configured(source):
            odd += odd_keys(source.conf, KEY)
        wrong = [] if app is None else _wrong_modes(app)
        outranking = said_in_environment(self._environ)
        if isinstance(mapping, Config):  # says everything, and only the switch outranks it
            config = replace(mapping, enabled=mapping.enabled and outranking.values.get("enabled", True))
            return Reading(config, tuple(wrong), tuple(odd))
        said = said_in({} if mapping is None else mapping, place)
        file = said_in(self._options, "instrument() or celery_links in a configuration file", ARGUMENTS)
        contrib = {"default": "link"} if self.links_taken_over else {}
        return Reading(
            Config(**{**contrib, **said.values, **file.values, **outranking.values}),
            (*said.wrong, *outranking.wrong, *wrong),
            (*file.wrong, *odd),
        )

    def join(self, app: Celery, given: Given | None) -> None:
        """Another ``setup`` in the same process.

        Raises:
            ConfigError: it is wrong, or not what this process has already.
        """
        other = Configuration(app=app, given=given, options=self._options, environ=self._environ)
        other.links_taken_over = self.links_taken_over
        theirs = other.checked(app).config
        if self.resolved is None and self._given is None and self.app in (None, app):
            self.app, self._given = app, given
        elif given is not None or _mapping_in(app)[0] is not None:
            ours = self.resolved or self.look(self.app).config
            if theirs != ours:
                raise ConfigError(f"setup(): this process is traced with another configuration already: {ours!r}")

    def link_by_default(self) -> None:
        """Contrib was given ``use_span_links=True``: ``default`` is ``link``, unless it is configured otherwise."""
        self.links_taken_over = True
        if self.resolved is not None:
            self.resolved = self.report(self.app).config


def configured(app: Celery) -> bool:
    """Whether the settings of ``app`` can be looked at without a side effect."""
    return bool(getattr(app, "configured", False))


def _mapping_in(app: Celery, *, load: bool = False) -> tuple[Any, str]:
    """The options that ``app`` is configured with, by now, and where they stand."""
    conf = app.conf if load or configured(app) else getattr(app, "_preconf", {})
    for key in (KEY, KEY.upper()):  # upper case: set without a namespace
        mapping = conf.get(key)
        if mapping is not None:
            return mapping, f"app.conf.{key}"
    return None, ""


def _wrong_modes(app: Celery) -> list[str]:
    """The tasks, as far as they are registered, that name a mode that there is not."""
    wrong = []
    for name, task in tasks_of(app).items():
        mode = getattr(task, TASK_ATTRIBUTE, None)
        try:
            _ = mode is None or mode_of(mode, f"task {name!r}: {TASK_ATTRIBUTE}")
        except ConfigError as error:
            wrong.append(str(error))
    return wrong
