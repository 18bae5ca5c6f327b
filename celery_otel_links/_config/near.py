"""What was probably meant for us, and stands under a name that we do not read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from celery_otel_links._config.modes import meant

_FAMILY = "CELERY_OTEL"
_SIMILAR = 0.8
"""How much of two names has to be the same, as difflib counts."""


def odd_variables(environ: Mapping[str, str], prefix: str, known: Sequence[str]) -> list[str]:
    """Variables of the environment whose names this release does not know; they may be another release's."""
    odd = []
    for name in environ:
        if name.startswith(_FAMILY) and name not in known:
            near = meant(name, known, _SIMILAR)
            if near or name.startswith(prefix) or _similar(name, prefix):
                allowed = ", ".join(variable.removeprefix(prefix) for variable in known)
                odd.append(f"environment: {name!r} is not an option; allowed: {prefix} and one of {allowed}.{near}")
    return odd


def odd_keys(conf: Mapping[str, Any], key: str) -> list[str]:
    """Mappings in an app's settings under a name that is almost ``key``."""
    odd = []
    for name in list(conf):
        like = _similar(str(name).lower().removeprefix("celery_"), key)
        if like and name not in (key, key.upper()) and isinstance(conf.get(name), Mapping):
            odd.append(
                f"app.conf: {name!r} is not read; allowed: {key}, or CELERY_{key.upper()} where the namespace of the "
                f"settings is CELERY. Did you mean {key!r}?"
            )
    return odd


def _similar(name: str, to: str) -> bool:
    return bool(difflib.get_close_matches(name, [to], n=1, cutoff=_SIMILAR))
