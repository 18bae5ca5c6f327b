"""Watches what the SDK is given, in whatever process imports the tests, and writes down what is not declared.

The package of the tests calls `watch`, so that every worker is watched whose application stands in it. What is seen
there goes to one file, which `tests/harness/undeclared.py` reads after each test.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import wrapt

FILE = "LINKS_TEST_UNDECLARED"  # not OTEL_…, which programs that tests start do not inherit
_said: set[str] = set()


def watch() -> None:
    """From now on, look at every span that ends, every collection of metrics and every log event of this process.

    And at what other processes export to a collector of ours here.
    """
    for module, function, look in (
        ("opentelemetry.sdk.trace", "Span.end", _span),
        ("opentelemetry.sdk.metrics._internal.measurement_consumer", "SynchronousMeasurementConsumer.collect", _points),
        ("opentelemetry.sdk._logs._internal", "Logger.emit", _event),
        ("celery_otel_links.cli.viewer.collector", "Collector.take", _export),
    ):
        wrapt.register_post_import_hook(_wrapping(function, look), module)


def forget() -> None:
    """What has been said once is said again from now on."""
    _said.clear()


def note(look: Callable[[], Iterable[Any]], *, once: bool = False) -> None:
    """Write down what `look` finds that is not declared; with `once`, not again what this process has said."""
    if FILE not in os.environ:
        return
    try:
        found = [one for one in look() if not (once and one.text in _said)]
    except Exception:  # whoever ends a span swallows it
        found = [("", f"the check itself failed: {traceback.format_exc()}")]
    if found:
        _said.update(text for _, text in found)
        descriptor = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, "".join(json.dumps(one) + "\n" for one in found).encode())
        os.close(descriptor)


def _wrapping(function: str, look: Callable[..., Any]) -> Callable[[Any], None]:
    def wrap(module: Any) -> None:
        import tests.harness.declared  # noqa: F401  (now: an import under way at a fork would never end in the child)

        wrapt.wrap_function_wrapper(module, function, look)

    return wrap


def _span(end: Callable[..., Any], span: Any, args: Any, kwargs: Any) -> Any:
    if span.end_time is None:  # before it is exported: whoever waits for that finds what is noted here
        note(lambda: _in_span(span._readable_span()))
    return end(*args, **kwargs)


def _in_span(span: Any) -> Iterable[Any]:
    from tests.harness.declared import Ended, in_span, is_ours

    scope = span.instrumentation_scope.name if span.instrumentation_scope else ""
    if not is_ours(scope):
        return ()
    return in_span(
        Ended(
            scope=scope,
            kind=span.kind.name,
            name=span.name,
            attributes=dict(span.attributes or {}),
            links=[dict(link.attributes or {}) for link in span.links],
            events=[(event.name, dict(event.attributes or {})) for event in span.events],
            dropped=span.dropped_attributes,
        )
    )


def _points(collect: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    data = collect(*args, **kwargs)
    note(lambda: _in_metrics(data), once=True)
    return data


def _in_metrics(data: Any) -> Iterator[Any]:
    from tests.harness.declared import in_metric

    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = _kind(metric.data)
                series = [dict(point.attributes or {}) for point in metric.data.data_points]
                yield from in_metric(scope.scope.name, metric.name, metric.unit, kind, series)


def _kind(data: Any) -> str:
    kind = type(data).__name__
    if kind == "Sum":
        return "counter" if data.is_monotonic else "up-down counter"
    return "histogram" if kind.endswith("Histogram") else kind.lower()


def _event(emit: Callable[..., Any], logger: Any, args: Any, kwargs: Any) -> Any:
    if args:  # as we call it
        note(lambda: _in_log(logger._instrumentation_scope.name, getattr(args[0], "log_record", args[0])))
    return emit(*args, **kwargs)


def _in_log(scope: str, record: Any) -> Iterable[Any]:
    from tests.harness.declared import in_log

    attributes = dict(record.attributes or {})
    return in_log(scope, getattr(record, "event_name", None) or attributes.get("event.name", ""), attributes)


def _export(take: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    from tests.harness.exports import in_export

    taken = take(*args, **kwargs)  # it raises for what is no export
    note(lambda: in_export(*args))
    return taken
