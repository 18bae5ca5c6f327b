"""The example's pictures, from spans made by hand."""

import pytest

pytest.importorskip("rich")
pytest.importorskip("opentelemetry.proto")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from rich.console import Console

from example_project.demo import latency, page, trees
from example_project.demo.record import LATENCY_METRIC, Link, Span, Wait, Waits
from example_project.demo.stories import Stories


def span(
    trace: str, name: str, parent: str = "", *, at: float = 0, links: tuple[Link, ...] = (), **waits: float
) -> Span:
    kind = {"POST": "server", "apply_async": "producer", "run": "consumer"}[name.replace("/", " ").split()[0]]
    attributes = {f"celery.latency.{part}": value for part, value in waits.items()}
    attributes |= {"celery.propagation.mode": "link", "celery.propagation.reason": "fan-out"}
    return Span(
        trace, f"{trace}-{name}", parent and f"{trace}-{parent}", name, kind, "", at, at + 1, False, attributes, links
    )


REQUEST = "POST /checkout"
WAITED = {"enqueue_to_start": 2.0, "scheduled": 0.0, "queue": 2.0, "broker": 1.0, "prefetch": 1.0}
STORY = [
    span("t1", REQUEST),
    span("t1", "apply_async/a", REQUEST),
    span("t2", "run/a", at=2, links=(Link("t1", "t1-apply_async/a", "producer"),), **WAITED),
    span("t2", "apply_async/b", "run/a", at=2.5),
    span(
        "t3", "run/b", at=4, links=(Link("t2", "t2-apply_async/b", "producer"), Link("t9", "gone", "origin")), **WAITED
    ),
]


def drawn(spans: list[Span], width: int = 100) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    trees.draw(console, Stories(spans))
    return console.export_text()


def test_linked_traces_belong_to_the_story_of_the_request() -> None:
    (story,) = Stories(STORY)
    assert [(trace.label, trace.trace_id) for trace in story.traces] == [("A", "t1"), ("A1", "t2"), ("A2", "t3")]


def test_traces_that_link_to_each_other_do_not_hang() -> None:
    there, back = Link("t1", "t1-run/a", "producer"), Link("t2", "t2-run/a", "producer")
    assert len(Stories([span("t1", "run/a", links=(back,)), span("t2", "run/a", links=(there,))])) == 2


def test_a_tree_shows_waits_work_and_links() -> None:
    text = drawn(STORY)
    assert "A   POST /checkout" in text
    assert "    └─ apply_async/a" in text
    assert "░" in text
    assert "▒" in text
    assert "⇠ producer  A apply_async/a   link (fan-out), trace t2" in text
    assert "⇠ origin    t9 gone" in text  # a span that never arrived


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_any_width_will_do(width: int) -> None:
    assert drawn(STORY, width)


def test_the_page_escapes_names() -> None:
    assert "POST /&lt;x&gt;" in page.html(Stories([span("t1", "POST /<x>")]))


def test_percentiles_are_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [latency.percentile(values, share) for share in (0.5, 0.95, 1.0)] == [50, 95, 100]


def test_a_run_without_latency_has_a_row_without_numbers() -> None:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(latency.table([span("t1", "run/a")]))
    console.print(latency.plot([]))
    text = console.export_text()
    assert [line.split() for line in text.splitlines() if line.startswith("a ")] == [["a", "1", *"-" * 9]]
    assert "no metrics have arrived" in text


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
