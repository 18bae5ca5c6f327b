"""A process says once what it does, and warns once where that is not what people want."""

from __future__ import annotations

import json
import uuid

import pytest
from celery import group

from celery_otel_links._config.destinations import NO_PROCESSOR, NOWHERE, PROMETHEUS, RATIO
from tests.acceptance.shop import open_shop
from tests.boot.programs import python
from tests.harness.waiting import until
from tests.harness.workers import Settings, worker

PROVIDERS = "OTEL_LINKS_TEST_PROVIDERS"
SENTENCES = {
    "line": "celery-otel-links 0.2.0: spans to ",
    "nowhere": NOWHERE,
    "no processor": NO_PROCESSOR,
    "ratio": RATIO.partition("%s ")[2],
    "prometheus": PROMETHEUS,
}


@pytest.fixture
def said(valkey_url, tmp_path):
    """How often a worker that has run tasks in all its processes, and has published, has said what."""

    def of(pool="prefork", otel_links=None, env=None, **told):
        queue = f"boot-{uuid.uuid4().hex[:8]}"
        conf = {"task_default_queue": queue}
        settings = Settings(
            valkey_url, valkey_url, spans=str(tmp_path / "spans"), conf=conf, otel_links=otel_links or {}
        )
        env = {PROVIDERS: json.dumps({"spans": "somewhere", **told}), **(env or {})}
        app = "tests.boot.announced_app:app"
        with worker(settings, app=app, pool=pool, queues=[queue], env=env) as running:
            shop = open_shop(valkey_url, valkey_url, conf)
            add = dict(shop.tasks["shop.add"].s(1, 2))
            for _ in range(2):  # one after the other, so that both of its processes have run a task in the end
                group(shop.tasks["shop.publish"].s(add) for _ in range(8)).apply_async().get(timeout=30)
            until(lambda: running.stderr.count("] succeeded in ") == 32, what="all tasks", timeout=30)
            counted = {name: running.stderr.count(text) for name, text in SENTENCES.items()}
            line = next((line for line in running.stderr.splitlines() if SENTENCES["line"] in line), "")
            shop.close()
        return {name for name, count in counted.items() if count}, counted, line

    return of


CASES = [
    ({}, set()),
    ({"spans": "nowhere"}, {"nowhere"}),
    ({"spans": "in the pool"}, set()),
    ({"spans": "no processor"}, {"no processor"}),
    ({"sampler": "ratio"}, {"ratio"}),
    ({"sampler": "all by ratio"}, set()),
    ({"sampler": "linked"}, set()),
    ({"prometheus": True}, {"prometheus"}),
    ({"prometheus": True, "pool": "threads"}, set()),
    ({"spans": "nowhere", "pool": "threads"}, {"nowhere"}),
    ({"spans": "nowhere", "pool": "solo"}, {"nowhere"}),
    ({"spans": "no processor", "env": {"OTEL_TRACES_EXPORTER": "none"}}, set()),
]


@pytest.mark.parametrize(("told", "warnings"), CASES, ids=lambda value: " ".join(map(str, value)) if value else "")
def test_a_worker_says_one_line_and_warns_once_where_it_has_to(said, told, warnings):
    names, counted, _ = said(**told)
    assert names == warnings | {"line"}
    assert set(counted.values()) <= {0, 1}


def test_the_line_of_a_worker(said):
    _, _, line = said(otel_links={"default": "link", "fan_out": "none"}, sampler="linked", prometheus=True)
    assert "INFO" in line
    assert line.endswith(
        "celery-otel-links 0.2.0: spans to JsonLinesSpanExporter, sampler LinkedSampler{TraceIdRatioBased{0.25}}, "
        "metrics to PrometheusMetricReader, default link, fan-out none"
    )


PRODUCER = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from celery import Celery
import celery_otel_links
if "none" not in sys.argv:
    provider = TracerProvider(TraceIdRatioBased(0.25), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter("http://me:secret@127.0.0.1:9/v1/traces?key=1")))
    trace.set_tracer_provider(provider)
app = celery_otel_links.setup(Celery("shop", broker="memory://", set_as_current=False))
print("before", file=sys.stderr)
for _ in range(3):
    app.send_task("shop.add")
import os
sys.stderr.flush()
os._exit(0)
"""


def test_a_producer_says_one_line_with_its_first_publish():
    before, after = python(PRODUCER).err.split("before\n")
    assert before == ""
    (line,) = [line for line in after.splitlines() if "celery-otel-links" in line]
    assert line.startswith(
        "INFO celery-otel-links 0.2.0: spans to OTLPSpanExporter(http://127.0.0.1:9/v1/traces), sampler "
        "TraceIdRatioBased{0.25}, "
    )
    assert line.endswith("metrics to nowhere by now, default child, fan-out link")
    # A ratio in a producer is no matter: there is nothing linked that it decides on.
    assert not any(text in after for name, text in SENTENCES.items() if name != "line")
    assert "secret" not in after


def test_a_producer_whose_spans_go_nowhere_warns_once():
    ended = python(PRODUCER.replace('"none" not in sys.argv', "False"))
    assert ended.err.count(f"WARNING {NOWHERE}") == 1
    assert ended.err.count("INFO celery-otel-links 0.2.0: spans to nowhere by now, sampler unknown") == 1
