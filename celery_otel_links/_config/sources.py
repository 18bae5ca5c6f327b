"""Where the configuration is read: from an app, under the environment, and from the tasks that are registered."""

from __future__ import annotations

from celery import Celery

from celery_otel_links._config.modes import mode_of
from celery_otel_links._config.options import Config

TASK_ATTRIBUTE = "otel_propagation"


def config_of(app: Celery) -> Config:
    """The configuration in ``app.conf``, when the tasks that are registered have been looked at as well.

    Raises:
        ConfigError: something in it is wrong, or a task names a mode that there is not.
    """
    config = read_config(app)
    check_tasks(app)
    return config


def read_config(app: Celery) -> Config:
    """The configuration in ``app.conf``, under the environment.

    Raises:
        ConfigError: something in it is wrong.
    """
    for key in ("otel_links", "OTEL_LINKS"):  # upper case: set without a namespace
        mapping = app.conf.get(key)
        if mapping is not None:
            return mapping if isinstance(mapping, Config) else Config.from_mapping(mapping, where=f"app.conf.{key}")
    return Config.from_mapping()


def check_tasks(app: Celery) -> None:
    """Look at the propagation mode of every task that is registered so far.

    Raises:
        ConfigError: one is no mode.
    """
    if getattr(app, "finalized", False):
        for name, task in app.tasks.items():
            mode = getattr(task, TASK_ATTRIBUTE, None)
            if mode is not None:
                mode_of(mode, f"task {name!r}: {TASK_ATTRIBUTE}")
