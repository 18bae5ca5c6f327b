"""Sampling whole stories: a trace that starts with a link is sampled exactly if what it links to was.

The only file that imports the SDK. For the environment: ``OTEL_TRACES_SAMPLER=linked_always_on``, or
``linked_traceidratio`` with the ratio in ``OTEL_TRACES_SAMPLER_ARG``. In a declarative configuration file they have the
same names, and ``ratio`` stands below the second.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, get_current_span
from opentelemetry.trace.span import TraceState

from celery_otel_links._config.modes import wrong
from celery_otel_links._declared.names import LINK_KIND, REASON

Follow = Callable[[Mapping[str, Any]], bool]

logger: logging.Logger = logging.getLogger("celery_otel_links")
_BACK = frozenset({"producer", "previous-attempt", "origin", "header"})


def trusted(attributes: Mapping[str, Any]) -> bool:
    """Follow every link, but those of queues that ``trust`` limits: an outsider's flag forces nothing."""
    return attributes.get(REASON) != "trust"


class LinkedSampler(Sampler):
    """With a parent, the parent decides; with a link of ours, what it links to; otherwise ``root``.

    Args:
        root: decides on the spans that start a story, such as ``TraceIdRatioBased(0.1)``.
        follow: gets the attributes of a linked run span, and returns whether its link shall decide; where not,
            ``root`` does. The default, :func:`trusted`, follows wherever the queue is trusted. To sample a fan-out
            task by task: ``follow=lambda attributes: attributes["celery.propagation.reason"] != "fan-out"``.
    """

    def __init__(self, root: Sampler, *, follow: Follow = trusted) -> None:
        self._root = root
        self._parents = ParentBased(root)
        self._follow = follow

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The decision for one span. A followed trace starts with an empty trace state: the other's is not its own."""
        sampler: Sampler = self._parents
        if links and not get_current_span(parent_context).get_span_context().is_valid:
            sampler = self._linked(attributes or {}, links) or self._root
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def _linked(self, attributes: Mapping[str, Any], links: Sequence[Link]) -> Sampler | None:
        for link in links:
            if link.attributes and link.attributes.get(LINK_KIND) in _BACK:
                if not self._follow(attributes):
                    return None
                return ALWAYS_ON if link.context.trace_flags.sampled else ALWAYS_OFF
        return None

    def get_description(self) -> str:
        """How samplers describe themselves."""
        return f"LinkedSampler{{{self._root.get_description()}}}"


def linked_always_on(_argument: str | None = None) -> Sampler:
    """``OTEL_TRACES_SAMPLER=linked_always_on``: all stories."""
    return LinkedSampler(ALWAYS_ON)


def linked_traceidratio(argument: str | None = None) -> Sampler:
    """``OTEL_TRACES_SAMPLER=linked_traceidratio``: the share of all stories in ``OTEL_TRACES_SAMPLER_ARG``, 0 to 1."""
    return _of_ratio(argument, "OTEL_TRACES_SAMPLER_ARG")


def linked_traceidratio_of_file(**options: Any) -> Sampler:
    """``linked_traceidratio: {ratio: 0.1}`` in a configuration file; without ``ratio``, all stories."""
    given = options or _options_in_file(sys._getframe(1).f_locals.get("config"))
    for key in given.keys() - {"ratio"}:
        logger.warning("%s", wrong("linked_traceidratio", key, "an option", ["ratio"]))
    return _of_ratio(given.get("ratio", 1), "linked_traceidratio: ratio")


def _of_ratio(ratio: Any, where: str) -> Sampler:
    try:
        return LinkedSampler(TraceIdRatioBased(float(ratio)))
    except (TypeError, ValueError):
        # As the SDK does for its own: telemetry that is set up wrong does not stop the application.
        logger.warning("%s: %r is not a ratio from 0 to 1; all stories are sampled", where, ratio)
        return LinkedSampler(ALWAYS_ON)


def _options_in_file(caller: Any) -> Mapping[str, Any]:
    """What stands below the sampler's name in the file, where it is not passed.

    opentelemetry-configuration 0.66 calls the factory of a sampler without the options that the file has for it. They
    are in the model of the file that the calling function was given as ``config``, and nowhere else within reach.
    """
    properties = getattr(caller, "additional_properties", None)
    options = properties.get("linked_traceidratio") if isinstance(properties, Mapping) else None
    return options if isinstance(options, Mapping) else {}
