"""What `opentelemetry-instrument` lacks for a provider: the doctor names the package, and installing it mends it."""

from __future__ import annotations

import sys
import sysconfig
import uuid
import venv
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.harness.needs import needs
from tests.harness.workers import Settings, worker
from tests.operated.doctored import APP, doctor, place_with, told

pytestmark = pytest.mark.slow
OWN = {"provider": "none", "setup": False}


@pytest.fixture(scope="module")
def place(valkey_url, tmp_path_factory):
    needs(entry_points(group="opentelemetry_distro"), "the package opentelemetry-distro")
    with place_with(valkey_url, tmp_path_factory.mktemp("collected")) as made:
        yield made


def instrumented(python):
    """`celery`, started by `opentelemetry-instrument`, with this interpreter."""
    run = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
    celery = "from celery.__main__ import main; main()"  # `-m celery` does not find it where it is imported by then
    return (str(python), "-c", run, str(python), "-c", celery)


def without(package, directory):
    """An interpreter for which everything is installed that is installed here, but not this package."""
    venv.create(directory, symlinks=True)
    (target,) = directory.glob("lib/python*/site-packages")
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(place).iterdir():
            if not entry.name.startswith(package) and not (target / entry.name).exists():
                (target / entry.name).symlink_to(entry)
    return directory / "bin" / "python"


def environment(place, **variables):
    endpoint = place.endpoints["good"]
    return {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis,logging",
        **variables,
    }


def visited(place, python):
    """What the doctor says where both the worker and the producer have this interpreter."""
    queue, command, env = f"doctored-{uuid.uuid4().hex[:8]}", instrumented(python), environment(place)
    working = {"OTEL_LINKS_TEST_DOCTOR": told(place, queue, OWN), **env}
    with worker(Settings(place.broker), app=APP, concurrency=1, queues=(queue,), env=working, command=command):
        return doctor(place, queue, OWN, command=command, env=env)


def lacks(answer):
    return [(one["what"], one["how"], one["mend"]) for one in answer["wrong"]]


def test_a_package_that_is_missing_is_named_and_with_it_nothing_is_wrong(place, tmp_path):
    code, answer = visited(place, without("opentelemetry_exporter_otlp_proto_http", tmp_path))
    assert code == 1
    assert {one["check"] for one in answer["wrong"]} == {"opentelemetry-instrument"}
    (name,) = answer["inactive"]
    found = lacks(answer)
    assert [what.partition(": ")[0] for what, _, _ in found] == ["this process", name]
    for _, how, mend in found:
        assert how == "OTEL_TRACES_EXPORTER asks for the exporter otlp_proto_http, which no package offers"
        assert mend.startswith("pip install opentelemetry-exporter-otlp-proto-http; or choose another: ")
    code, answer = visited(place, Path(sys.executable))
    assert (code, answer["wrong"], answer["unknown"]) == (0, [], [])


def test_a_distro_that_is_missing_is_named(place, tmp_path):
    python = without("opentelemetry_distro", tmp_path)
    _, answer = doctor(place, "nobody", OWN, command=instrumented(python), env=environment(place))
    ((what, how, mend),) = [found for found in lacks(answer) if "worker" not in found[0]]
    assert what == "this process: opentelemetry-instrument has made no tracer provider"
    assert how == "no package offers the entry point opentelemetry_distro"
    assert mend == "pip install opentelemetry-distro opentelemetry-exporter-otlp"


ASKED = [
    ({"OTEL_TRACES_EXPORTER": "console,jaeger"}, "OTEL_TRACES_EXPORTER", "jaeger"),
    ({"OTEL_METRICS_EXPORTER": "jaeger"}, "OTEL_METRICS_EXPORTER", "jaeger"),
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml"}, "OTEL_EXPORTER_OTLP_PROTOCOL", "otlp over http/xml"),
]


@pytest.mark.parametrize(("variables", "variable", "exporter"), ASKED)
def test_an_exporter_that_nobody_offers_is_named(place, variables, variable, exporter):
    env = environment(place, **variables)
    _, answer = doctor(place, "nobody", OWN, command=instrumented(sys.executable), env=env)
    ((_, how, mend),) = [found for found in lacks(answer) if "worker" not in found[0]]
    assert how == f"{variable} asks for the exporter {exporter}, which no package offers"
    assert mend.startswith(f"{variable} may be ")
    assert ("grpc, http/protobuf" in mend) or ("console, otlp" in mend)
