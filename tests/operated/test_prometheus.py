"""The operator's pack on a real Prometheus that scrapes real workers: it raises alerts, and shows what the load was."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import time
import uuid
from importlib.util import module_from_spec, spec_from_file_location

import prometheus_client
import pytest
import yaml
from celery import Celery
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider

from celery_otel_links import CeleryLinksInstrumentor
from tests.harness import processes
from tests.harness.needs import needs
from tests.harness.servers import free_port
from tests.harness.waiting import until
from tests.harness.workers import REPOSITORY, Settings, environment, worker
from tests.operated.scraped import prometheus

pytestmark = [pytest.mark.slow, pytest.mark.clock]
APP = "tests.operated.alerted_app:app"
DASHBOARD = REPOSITORY / "operations" / "grafana" / "celery-otel-links.json"


class Scene:
    """A producer that is scraped too, the workers that it publishes to, and the Prometheus that looks at them."""

    def __init__(self, app, queue, server, workers):
        self.app, self.queue, self.prometheus, self.workers = app, queue, server, workers

    def publish(self, name, *args, **options):
        self.app.send_task(f"alerted.{name}", args, **options)

    def keeps_on(self, do, condition, what, every=0.2, timeout=60):
        """Do something again and again until the condition holds."""
        due = time.monotonic()

        def once():
            nonlocal due
            while time.monotonic() >= due:
                do()
                due += every
            return condition()

        return until(once, what=what, timeout=timeout)

    def raises(self, alert, do, every=0.2):
        """The alert comes while that goes on, and no other does."""
        seen = set()

        def raised():
            seen.update(self.prometheus.alerts())
            return alert in seen

        self.keeps_on(do, raised, lambda: f"{alert}; there was {seen}", every)
        assert seen == {alert}


@pytest.fixture
def scene(valkey_url, tmp_path):
    needs(shutil.which("prometheus"), "prometheus, Debian's package")
    with contextlib.ExitStack() as stack:

        def opened(*workers, queue="bulk", watching=False):
            name = f"{queue}-{uuid.uuid4().hex[:8]}"
            ports = [free_port() for _ in workers]
            running = []
            for port, options in zip(ports, workers, strict=True):
                options = {"pool": "threads", "concurrency": 1, "queues": (name,), **options}
                conf = {"task_default_queue": name, **options.pop("conf", {})}
                env = {"OTEL_LINKS_TEST_PORT": str(port)}
                settings = Settings(valkey_url, valkey_url, conf=conf)
                running.append(stack.enter_context(worker(settings, app=APP, env=env, **options)))
            if watching:
                ports += [free_port(), free_port()]
                told = {"OTEL_LINKS_TEST_PORT": str(ports[-1])}
                told |= {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(ports[-2])}
                settings = Settings(valkey_url, valkey_url, conf={"task_default_queue": name})
                command = [sys.executable, "-m", "celery", "-A", APP, "otel-links", "watch", "--interval", "2"]
                folder = tmp_path / "watch"
                folder.mkdir()
                env = environment(settings, ready=folder / "ready", env=told)
                stack.callback(processes.end, processes.start(command, directory=folder, env=env))
                ports = ports[:-2]  # the application has a provider of its own: it exports at the other port
                ports.append(int(told["OTEL_LINKS_TEST_PORT"]))
            registry = prometheus_client.CollectorRegistry()
            reader = PrometheusMetricReader()
            registry.register(reader._collector)
            server, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry)
            stack.callback(thread.join)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            ports.append(server.server_port)
            app = Celery(broker=valkey_url, backend=valkey_url, set_as_current=False)
            app.conf.update(task_default_queue=name, task_ignore_result=True)
            CeleryLinksInstrumentor().instrument(app=app, meter_provider=MeterProvider([reader]))
            stack.callback(CeleryLinksInstrumentor().uninstrument)
            looking = stack.enter_context(prometheus(tmp_path, ports))
            until(lambda: looking.query("celery_worker_processes"), what="the first metrics of a worker")
            # It begins to scrape five seconds after it has begun to evaluate: until then, everything was absent.
            until(lambda: not looking.alerts(), what="that no alert is raised")
            return Scene(app, name, looking, running)

        yield opened


def test_a_worker_that_is_alive_and_does_not_consume(scene):
    there = scene({})
    there.app.control.cancel_consumer(there.queue)
    until(lambda: "no longer accepting tasks" in there.workers[0].stderr.lower() or _idle(there), what="an idle worker")
    there.raises("CeleryNothingStarts", lambda: there.publish("work"))


def _idle(there):
    return not any(queues for queues in (there.app.control.inspect().active_queues() or {}).values())


def test_a_task_that_is_killed_by_the_kernel(scene):
    there = scene({"pool": "prefork"})
    there.publish("die")
    there.raises("CeleryTaskKilled", lambda: None)


def test_a_queue_with_a_slow_consumer(scene):
    there = scene({"conf": {"worker_prefetch_multiplier": 1}}, queue="interactive")
    there.raises("CeleryWaitBurnsBudget", lambda: there.publish("work", 0.5))


def test_a_worker_that_hoards(scene):
    """It holds eight messages at a time, while another worker has nothing to do."""
    there = scene({"conf": {"worker_prefetch_multiplier": 8}}, {"queues": ("another",)})
    for _ in range(7):
        there.publish("work", 0.4)
    there.raises("CeleryPrefetchHoarding", lambda: there.publish("work", 0.4), every=0.4)


def expressions(dashboard):
    """Each panel's queries, for all tasks and queues, over ten seconds."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            text = target["expr"].replace("$__rate_interval", "10s").replace("$task", ".*").replace("$queue", ".*")
            yield panel["title"], text


def documented(queue):
    """The queries of the pages and of KEDA, over ten seconds, for this queue, without what an alert compares with."""
    scaled = yaml.safe_load((REPOSITORY / "operations" / "keda" / "scaled-object.yaml").read_text())
    told = [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]
    for page in sorted((REPOSITORY / "docs").rglob("*.md")):
        for block in re.findall(r"^```promql\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            told += [part for part in re.sub(r"^#.*\n", "", block, flags=re.MULTILINE).split("\n\n") if part.strip()]
    for query in told:
        bare = re.sub(r" < 0\.95\s*$", "", query).replace('"interactive"', f'"{queue}"')
        yield re.sub(r"\[\d+m\]", "[10s]", bare)


# What a load of ours can't bring about: nothing fails in the library, and no message comes twice.
EMPTY = {"Failures in the library", "Redelivered messages"}


def test_every_query_of_the_dashboard_says_what_the_load_was(scene):
    there = scene({"conf": {"worker_prefetch_multiplier": 1}}, watching=True)
    dashboard = json.loads(DASHBOARD.read_text())
    counts = {"work": 0, "fail": 0, "late": 0}

    def load():
        there.publish("work", 0.4)
        there.publish("work", countdown=1)
        there.publish("fail")
        there.app.send_task("alerted.work", countdown=1, expires=0.3)
        counts["work"] += 2
        counts["fail"] += 1
        counts["late"] += 1
        unstamped(there)

    def missing():
        return {title for title, query in expressions(dashboard) if not there.prometheus.query(query)} - EMPTY

    def unsaid():
        return [
            query for query in documented(there.queue) if not any(one > 0 for _, one in there.prometheus.query(query))
        ]

    there.keeps_on(load, lambda: not missing(), lambda: f"data for {missing()}", every=0.5)
    there.keeps_on(load, lambda: not unsaid(), lambda: f"data for {unsaid()}", every=0.5)
    assert len(list(documented(there.queue))) >= 6  # the pages have not lost theirs
    for title, query in expressions(dashboard):
        if title in EMPTY:
            assert there.prometheus.query(query) == []
    published = 'sum(celery_task_published_total{celery_task_name="alerted.fail"})'
    failed = 'sum(celery_task_outcomes_total{celery_task_name="alerted.fail",celery_state="FAILURE"})'
    expired = 'sum(celery_task_outcomes_total{celery_state="EXPIRED"})'
    expected = {published: counts["fail"], failed: counts["fail"], expired: counts["late"]}

    def counted():
        return {query: sum(value for _, value in there.prometheus.query(query)) for query in expected}

    until(lambda: counted() == expected, what=lambda: f"{expected}; there is {counted()}", timeout=60)


def unstamped(there):
    """A message of a producer that is not instrumented."""
    with there.app.connection_for_write() as connection:
        body = [[], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
        headers = {"lang": "py", "task": "alerted.work", "id": uuid.uuid4().hex, "argsrepr": "", "kwargsrepr": ""}
        connection.Producer(serializer="json").publish(body, routing_key=there.queue, headers=headers)


def test_the_dashboard_is_as_its_table_says():
    spec = spec_from_file_location("make", DASHBOARD.with_name("make.py"))
    make = module_from_spec(spec)
    spec.loader.exec_module(make)
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard == make.dashboard()
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")
