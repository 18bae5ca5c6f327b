"""The trees in a terminal: what fits, what is shown, and in which colours."""

from __future__ import annotations

import io

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from rich.color import Color
from rich.console import Console
from rich.style import Style

from celery_otel_links.cli.viewer import latency, trees
from celery_otel_links.cli.viewer.record import LATENCY_METRIC, Span, Wait, Waits
from celery_otel_links.cli.viewer.story import Stories
from tests.viewer.made import CHECKOUT, EPOCH, span


def drawn(spans: list[Span], width: int = 100, **console: object) -> str:
    file = io.StringIO()
    trees.draw(Console(width=width, file=file, **console), Stories(spans))
    return file.getvalue()


def row(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if name in line)


def test_a_tree_shows_waits_work_and_links() -> None:
    text = drawn(CHECKOUT)
    assert "A   POST /checkout" in text
    assert "    ├─ apply_async/receipt ⇢ A1" in text
    assert "⇠ producer  A apply_async/receipt   link (fan-out), trace " in text
    assert "⇠ origin    A apply_async/receipt" in text
    assert row(text, "A1  run/receipt").endswith(" 100 ms   900 ms")
    assert "░▒▒▒" in row(text, "A1  run/receipt")


def test_state_and_attempt_are_said_of_what_did_not_simply_succeed() -> None:
    text = drawn(CHECKOUT)
    assert "attempt 2   ⇠ previous-attempt run/charge" in text
    assert "killed (WorkerLostError)" in text
    assert "EXPIRED" in text


def test_all_traces_of_a_story_are_on_one_scale_which_is_drawn_above_them() -> None:
    text = drawn(CHECKOUT, 120)
    axis = row(text, "1 s")
    begins = {name: row(text, name).index("█") for name in ("A   POST /checkout", "A1  run/receipt", "A2  run/archive")}
    one, two = axis.index("1 s"), axis.index("2 s")
    assert begins["A   POST /checkout"] == axis.index("0")
    assert begins["A1  run/receipt"] == pytest.approx(one, abs=1)
    assert begins["A2  run/archive"] == pytest.approx(two + (two - one), abs=1)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_nothing_is_cut(width: int) -> None:
    text = drawn(CHECKOUT, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "waited" in text


def test_a_name_that_is_longer_than_the_terminal_costs_no_number() -> None:
    text = drawn([*CHECKOUT, span("t1", "long", f"run/{'long.' * 30}", "post", at=2, wait=(0, 0.1, 0.2))], 80)
    line = row(text, "run/long")
    assert "…" in line
    assert line.endswith("   300 ms")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("width", [20, 40])
def test_the_narrowest_terminal_will_do(width: int) -> None:
    assert max(map(len, drawn(CHECKOUT, width).splitlines())) <= width


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = drawn(CHECKOUT, force_terminal=True, color_system="256")
    assert "38;5;" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "38;5;" not in drawn(CHECKOUT, force_terminal=True, color_system="256")


@pytest.mark.parametrize("colour", [trees.QUIET, trees.LINK, trees.WAIT, trees.WRONG, *trees.COLOUR.values()])
def test_every_colour_stands_out_from_black_and_from_white(colour: str) -> None:
    assert isinstance(Style.parse(colour).color, Color)
    bright = _luminance(*Style.parse(colour).color.get_truecolor())
    assert min(1.05 / (bright + 0.05), (bright + 0.05) / 0.05) >= 4


def _luminance(*channels: int) -> float:
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (c / 255 for c in channels)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_percentiles_are_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [latency.percentile(values, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]


def printed(width: int, *parts: object) -> str:
    file = io.StringIO()
    Console(width=width, file=file).print(*parts)
    return file.getvalue()


@pytest.mark.parametrize(("width", "numbers"), [(80, 5), (120, 9)])
def test_the_table_of_waits_fits(width: int, numbers: int) -> None:
    text = printed(width, latency.table(CHECKOUT, width))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert len(row(text, "receipt").split()) == 2 + 2 * numbers  # a number and its unit


def test_a_run_without_latency_has_a_row_without_numbers() -> None:
    text = printed(120, latency.table([span("t1", "a", "run/a", at=0)], 120))
    assert [line.split() for line in text.splitlines() if line.startswith("a ")] == [["a", "1", *"-" * 9]]
    assert "no metrics have arrived" in printed(80, latency.plot([], 80))


@pytest.mark.parametrize("seconds", [1, 30, 4000])
def test_the_plot_over_time_fits_however_long_that_is(seconds: int) -> None:
    waits = [Wait(EPOCH + at, "shop.index_product", 1, 0.5) for at in (0, seconds)]
    assert max(map(len, printed(80, latency.plot(waits, 80)).splitlines())) <= 80


def test_cumulative_histograms_become_what_each_export_adds() -> None:
    def export(count: int, total: float, process: str = "1") -> ExportMetricsServiceRequest:
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        resource.resource.attributes.add(key="process.pid").value.string_value = process
        metric = resource.scope_metrics.add().metrics.add(name=LATENCY_METRIC)
        point = metric.histogram.data_points.add(count=count, sum=total, time_unix_nano=5 * 10**9)
        point.attributes.add(key="celery.task_name").value.string_value = "a"
        return request

    waits = Waits()
    exports = [export(1, 0.5), export(1, 0.5), export(3, 1.0), export(2, 0.25, process="2")]
    assert [list(waits.of(one)) for one in exports] == [
        [Wait(5.0, "a", 1, 0.5)],
        [],
        [Wait(5.0, "a", 2, 0.5)],
        [Wait(5.0, "a", 2, 0.25)],
    ]
