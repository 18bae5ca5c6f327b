"""Plans as a configuration makes them."""

from __future__ import annotations

from celery_otel_links._config.conventions import Style
from celery_otel_links._config.options import Config
from celery_otel_links._rules.policy import Policy, Settings
from celery_otel_links._tracing.plans import Plans


def plans_of(config: Config, style: Style | None = None) -> Plans:
    """The plans under this configuration."""
    settings = Settings(config.default, config.fan_out, config.tasks.first, config.queues.first)
    return Plans(Policy(settings), config.exclude.first, config.trust.first, style or Style())
