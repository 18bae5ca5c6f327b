"""The configuration file that is on the page, read by the SDK's own loader, in code and by the zero-code command."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path

import pytest

from celery_otel_links.sampling import linked_always_on, linked_traceidratio_of_file
from tests.acceptance.shop import open_shop
from tests.boot.programs import REPOSITORY, ZERO_CODE, python
from tests.harness.collector import collector
from tests.harness.recording import SpanFile
from tests.harness.waiting import until
from tests.harness.workers import Settings, worker

pytest.importorskip("opentelemetry.configuration")

PAGE = (REPOSITORY / "docs" / "configuration.md").read_text()
(FILE,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SEEN = """
import json
from opentelemetry import trace
from celery import Celery
from celery_otel_links import CeleryLinksInstrumentor
config = CeleryLinksInstrumentor().configuration.of(Celery("shop", broker="memory://", set_as_current=False))
print(json.dumps([
    trace.get_tracer_provider().sampler.get_description(), config.default, config.tasks.rules, config.delay_threshold
]))
"""
IN_CODE = """
from opentelemetry.configuration import configure_sdk, load_config_file
configure_sdk(load_config_file("otel.yaml"))
"""
RIGHT = ["LinkedSampler{TraceIdRatioBased{0.25}}", "link", {"mail.*": "child"}, 300]
LOCAL = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}


def seen(folder, file, *, zero_code):
    (folder / "otel.yaml").write_text(file)
    env = {**LOCAL, **({"OTEL_CONFIG_FILE": "otel.yaml"} if zero_code else {})}
    ended = python((SEEN if zero_code else IN_CODE + SEEN), env, folder, zero_code=zero_code)
    assert ended.status == 0, ended.output
    return json.loads(ended.out.splitlines()[0]), ended.err


both = pytest.mark.parametrize("zero_code", [False, True], ids=["configure_sdk", "OTEL_CONFIG_FILE"])


@both
def test_the_file_of_the_page_does_what_it_says(tmp_path, zero_code):
    found, logged = seen(tmp_path, FILE, zero_code=zero_code)
    assert found == RIGHT
    assert "celery_links" not in logged


@both
@pytest.mark.parametrize(
    ("right", "wrong", "near"),
    [
        ("default: link", "defualt: link", "'default'"),
        ("default: link", "default: lnik", "'link'"),
        ('"mail.*": child', '"mail.*": chlid', "'child'"),
        ("ratio: 0.25", "ration: 0.25", "'ratio'"),
    ],
)
def test_what_is_wrong_in_the_file_names_the_nearest_and_stops_nothing(tmp_path, zero_code, right, wrong, near):
    found, logged = seen(tmp_path, FILE.replace(right, wrong), zero_code=zero_code)
    assert logged.count(f"Did you mean {near}?") == 1, logged
    assert sum(one == other for one, other in zip(found, RIGHT, strict=True)) == 3


def test_a_ratio_that_is_none_samples_all_and_says_so(tmp_path):
    found, logged = seen(tmp_path, FILE.replace("ratio: 0.25", "ratio: much"), zero_code=False)
    assert found == ["LinkedSampler{AlwaysOnSampler}", *RIGHT[1:]]
    assert "linked_traceidratio: ratio: 'much' is not a ratio from 0 to 1" in logged


def test_linked_always_on_in_the_file(tmp_path):
    file = FILE.replace("    linked_traceidratio:\n      ratio: 0.25\n", "    linked_always_on:\n")
    found, _ = seen(tmp_path, file, zero_code=False)
    assert found[0] == linked_always_on().get_description()


@pytest.mark.parametrize(("options", "ratio"), [({"ratio": 0.5}, "0.5"), ({}, "1.0")])
def test_a_loader_that_passes_the_options_is_understood_as_well(options, ratio):
    sampler = linked_traceidratio_of_file(**options)
    assert sampler.get_description() == f"LinkedSampler{{TraceIdRatioBased{{{ratio}}}}}"


def test_a_worker_with_the_file_links(valkey_url, tmp_path):
    queue = f"boot-{uuid.uuid4().hex[:8]}"
    conf = {"task_default_queue": queue}
    spans = SpanFile(tmp_path / "spans")
    file = tmp_path / "otel.yaml"
    file.write_text(FILE.replace("ratio: 0.25", "ratio: 1"))
    command = [ZERO_CODE, str(Path(ZERO_CODE).parent / "celery")]
    with collector(spans.path) as endpoint:
        env = {
            "OTEL_CONFIG_FILE": str(file),
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis",
        }
        settings = Settings(valkey_url, valkey_url, conf=conf)
        with worker(settings, app="tests.acceptance.bare_app:app", queues=[queue], env=env, command=command) as running:
            shop = open_shop(valkey_url, valkey_url, conf)
            shop.tasks["shop.publish"].delay(dict(shop.tasks["shop.plain"].s()))
            until(lambda: running.stderr.count("] succeeded in ") == 2, what="both tasks", timeout=30)
            running.stop()
            shop.close()
    by_name = {span.name: span for span in spans.spans()}
    published, ran = by_name["apply_async/shop.plain"], by_name["run/shop.plain"]
    assert [link.target for link in ran.links] == [published.key]
    assert ran.parent is None
    assert ran.attributes["celery.propagation.reason"] == "default"
