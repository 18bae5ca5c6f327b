"""Whenever and wherever the providers are made, what a process holds is exported before it ends."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.harness.collector import collector
from tests.harness.recording import collected
from tests.harness.waiting import until

pytestmark = pytest.mark.clock
BIN = Path(sys.executable).parent
NEVER = "3600000"
TASKS = 4


def runs(spans):
    return [span for span in spans if span.kind == "CONSUMER"]


def work(site):
    return [site.app.send_task("end.succeed").get(timeout=20) for _ in range(TASKS)]


@pytest.mark.parametrize("when", ["before fork", "after fork, receiver first", "after fork, receiver last"])
def test_recycled_and_stopped_processes_export_wherever_the_provider_was_made(open_site, when):
    with open_site("prefork", told={"provider": when}, args=("--max-tasks-per-child", "3"), concurrency=1) as site:
        pids = work(site)
        until(lambda: len(runs(site.spans())) == 3, what="what the recycled process held")
        site.worker.stop(signal.SIGTERM)
        assert [span.pid for span in runs(site.spans())] == pids
        assert len(set(pids)) == 2
        assert site.complaints() == []


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGQUIT])
def test_without_a_provider_nothing_happens(open_site, stop):
    with open_site("prefork", told={"provider": "never"}, args=("--max-tasks-per-child", "2")) as site:
        work(site)
        site.worker.stop(stop)
        assert site.spans() == ()
        (warning,) = site.complaints()
        assert "no span goes anywhere" in warning


def test_opentelemetry_instrument_alone_loses_nothing(open_site, tmp_path):
    exported = tmp_path / "collected.jsonl"
    with collector(exported) as endpoint:
        env = {
            "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": NEVER,
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis",
        }
        command = [str(BIN / "opentelemetry-instrument"), str(BIN / "celery")]
        with open_site(
            "prefork", app="tests.lifecycle.bare_app:app", command=command, env=env, args=("--max-tasks-per-child", "3")
        ) as site:
            site.app.send_task("end.kill_itself")  # while no process holds anything
            until(lambda: "WorkerLostError" in site.worker.stderr, what="the lost process")
            work(site)
            site.worker.stop(signal.SIGTERM)
            told = [span.attributes["celery.state"] for span in runs(collected(exported))]
            assert sorted(told) == ["FAILURE", *["SUCCESS"] * TASKS]
            assert [line for line in site.complaints() if "is switched off" not in line] == []


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo", "gevent", "eventlet"])
def test_logs_are_exported_too(open_site, tmp_path, pool):
    logs = tmp_path / "logs"
    recycling = ("--max-tasks-per-child", "1") if pool == "prefork" else ()
    with open_site(pool, told={"logs": str(logs)}, args=recycling) as site:
        for _ in range(TASKS):
            site.app.send_task("end.log").get(timeout=20)
        site.worker.stop(signal.SIGTERM)
    assert logs.read_text().splitlines() == ["a record"] * TASKS


def test_the_whole_group_may_be_told_to_end(open_site):
    """As systemd does by default (KillMode=control-group)."""
    with open_site("prefork") as site:
        work(site)
        os.killpg(site.worker.pid, signal.SIGTERM)
        site.worker.wait()
        assert len(runs(site.spans())) == TASKS


def test_the_providers_still_work_for_others_after_a_flush(open_site):
    """A task that leaves by itself flushes; so does every process at its end: nothing is shut down before."""
    with open_site("prefork", otel_links={"flush_interval": 0.05}, concurrency=1) as site:
        work(site)
        until(lambda: len(runs(site.spans())) == TASKS, what="an export between tasks")
        work(site)
        until(lambda: len(runs(site.spans())) == 2 * TASKS, what="another one")
