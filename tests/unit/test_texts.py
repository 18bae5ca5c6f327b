"""Text that anybody may choose: what is emitted of it can be encoded by the real exporters, and is bounded."""

from __future__ import annotations

import pytest
from celery.exceptions import Retry
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from celery_otel_links._declared.names import HISTOGRAMS
from celery_otel_links._rules.texts import LONGEST_NAME, printable, text_of, traceback_of, type_name
from tests.unit.strategies import anything

LONE = "\ud800"
HOSTILE = f"x{LONE}y"
LONG = "é" * 100_000
Named = type("Named", (Exception,), {"__module__": HOSTILE, "__qualname__": HOSTILE})
Endless = type("Endless", (Exception,), {"__qualname__": LONG})


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


class NoText(Exception):
    def __str__(self):
        return 7


class Nowhere(SyntaxError):
    """Python itself cannot print its traceback."""

    def __init__(self):
        super().__init__()
        self.lineno = Unprintable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop.add", "shop.add"),
        ("né", "né"),
        ("\U0001f600", "\U0001f600"),
        (HOSTILE, "x?y"),
        ("a" * LONGEST_NAME, "a" * LONGEST_NAME),
        ("a" * (LONGEST_NAME + 1), "a" * (LONGEST_NAME - 1) + "…"),
        ("", ""),
    ],
)
def test_what_can_be_encoded_stays_as_it_is(text, expected):
    assert printable(text) == expected


@given(st.text(st.characters(codec=None) | st.just(LONE), max_size=400))
def test_every_text_can_be_encoded_afterwards(text):
    told = printable(text)
    told.encode()
    assert len(told) <= LONGEST_NAME
    assert printable(told) == told


@given(anything)
def test_every_object_has_a_text(value):
    text_of(value).encode()


HOSTILE_ERRORS = [Unprintable(), NoText(), Named(HOSTILE), Endless(LONG), Unprintable(Unprintable()), Nowhere()]


@pytest.mark.parametrize("error", HOSTILE_ERRORS)
def test_every_exception_has_a_class_a_text_and_a_traceback(error):
    for text, longest in ((type_name(error), 255), (text_of(error), 4096), (traceback_of(error), 32768)):
        text.encode()
        assert len(text) <= longest


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (KeyError(), "KeyError"),
        (Unprintable(), f"{__name__}.Unprintable"),
        (Named(), "x?y.x?y"),
        (Retry(), "celery.exceptions.Retry"),
    ],
)
def test_the_class_of_an_exception_is_named_with_its_module(error, name):
    assert type_name(error) == name


def test_a_text_is_cut_where_it_is_too_long():
    assert len(text_of("a" * 5000)) == 4096
    assert text_of(Unprintable()) == "Unprintable"


def raising(error):
    def fail(*_args):
        raise error

    return fail


def retrying(self):
    raise self.retry(exc=ValueError(HOSTILE), countdown=1)


ENDS = {
    "returns": (lambda _: None, {}),
    "fails": (raising(ValueError(HOSTILE)), {}),
    "fails with a strange class": (raising(Named(LONG)), {}),
    "fails without a text": (raising(Unprintable()), {}),
    "is retried": (retrying, {"bind": True}),
}


@pytest.fixture
def metered(shop_with):
    """A shop of which everything is emitted, and its metrics."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    yield lambda **config: shop_with(meters=meters, histograms=list(HISTOGRAMS), **config), reader
    meters.shutdown()


def named(function):
    """Celery makes source code of a function's name."""

    def body(*args):
        return function(*args)

    return body


@pytest.mark.parametrize("contrib_names", [False, True], ids=["ours", "contrib's too"])
@pytest.mark.parametrize("text", [HOSTILE, LONG], ids=["a lone surrogate", "long"])
@pytest.mark.parametrize(("function", "options"), ENDS.values(), ids=ENDS)
def test_whatever_is_published_and_run_can_be_exported(metered, function, options, text, contrib_names):
    opened, reader = metered
    shop = opened(contrib_names=contrib_names)
    strange = {"root_id": text, "correlation_id": text, "reply_to": text, "shadow": text, "priority": 1}
    shop.app.send_task(f"shop.{text}", task_id=text, queue="celery", **strange)
    headers = shop.sent[-1][1]
    task = shop.task(f"shop.{text}", named(function), **options)
    info = {"routing_key": text, "exchange": text}
    args = () if options else (1,)
    shop.run(task, headers, *args, delivery_info=info, hostname=text, origin=text, reply_to=text, correlation_id=text)
    ran = [span for span in shop.spans if span.name.startswith("run/")]
    assert len(ran) == 1
    assert len(shop.spans) == 2 + bool(options)
    assert encode_spans(shop.spans).SerializeToString()
    assert encode_metrics(reader.get_metrics_data()).SerializeToString()
    for span in shop.spans:
        assert len(span.name) <= LONGEST_NAME
        assert all(len(str(value)) <= 4096 for value in span.attributes.values())
