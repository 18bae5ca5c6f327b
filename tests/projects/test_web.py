"""Django, FastAPI under uvicorn, and gunicorn: a request, its task that continues it, and the one that links to it."""

from __future__ import annotations

import importlib.util

import pytest

from tests.harness.needs import needs
from tests.projects.running import PROJECTS, continues, links, named, one, root_of, send

pytestmark = pytest.mark.slow


def both_ran(prefix="shop."):
    names = {f"{verb}/{prefix}{task}" for verb in ("apply_async", "run") for task in ("charge", "send_receipt")}
    return lambda spans: names < {span.name for span in spans} and any(span.kind == "SERVER" for span in spans)


def package(name):
    needs(importlib.util.find_spec(name), name)


@pytest.mark.parametrize(
    ("server", "options"),
    [("python manage.py runserver", ""), ("gunicorn shop.wsgi", "--preload")],
)
def test_django(project, server, options):
    package("opentelemetry.instrumentation.django")
    if "gunicorn" in server:
        package("gunicorn")
    shop = project("django_shop", "set-up/django.md")
    worker = shop.start_worker()
    _, url = shop.start_web(server, more=options)
    send(f"{url}/order/1")
    spans = shop.seen(both_ran("shop.tasks."))
    request = root_of(spans)
    assert request.name == "GET order/<int:number>"
    assert [one(spans, f"apply_async/shop.tasks.{task}").parent for task in ("charge", "send_receipt")] == [
        request.id
    ] * 2
    assert continues(spans, "shop.tasks.charge")
    assert links(spans, "shop.tasks.send_receipt")
    assert one(spans, "run/shop.tasks.send_receipt").attributes["celery.propagation.reason"] == "task-rule"
    worker.stop()


@pytest.mark.parametrize("options", ["", "--workers 2", "--reload"])
def test_fastapi(project, options):
    package("opentelemetry.instrumentation.fastapi")
    shop = project("fastapi_shop", "set-up/fastapi.md")
    shop.start_worker()
    _, url = shop.start_web("uvicorn web:web", more=options)
    send(f"{url}/order/1", "POST")
    spans = shop.seen(both_ran())
    request = root_of(spans)
    assert [one(spans, f"apply_async/shop.{task}").parent for task in ("charge", "send_receipt")] == [request.id] * 2
    assert continues(spans, "shop.charge")
    assert links(spans, "shop.send_receipt")


def test_asyncio_keeps_the_context_and_the_block(project):
    package("opentelemetry.instrumentation.fastapi")
    shop = project("fastapi_shop", "set-up/fastapi.md")
    shop.start_worker()
    _, url = shop.start_web("uvicorn web:web")
    send(f"{url}/orders/5", "POST")
    spans = shop.seen(
        lambda spans: len(named(spans, "run/shop.charge")) == 5 and any(s.kind == "SERVER" for s in spans)
    )
    request = root_of(spans)
    published = {span.key for span in named(spans, "apply_async/shop.charge") if span.parent == request.id}
    runs = named(spans, "run/shop.charge")
    assert {link.target for run in runs for link in run.links} == published
    assert [run.parent for run in runs] == [None] * 5
    assert {run.attributes["celery.propagation.reason"] for run in runs} == {"call"}


@pytest.mark.parametrize("options", ["", "--preload", "--preload --threads 4"])
def test_gunicorn(project, options):
    package("gunicorn")
    package("opentelemetry.instrumentation.wsgi")
    one_request(project("gunicorn_shop", "set-up/gunicorn.md"), options)


@pytest.mark.parametrize("options", ["", "--preload"])
def test_gunicorn_with_gevent_and_the_hook_that_the_page_names_for_it(project, options):
    package("gunicorn")
    package("opentelemetry.instrumentation.wsgi")
    shop = project("gunicorn_shop", "set-up/gunicorn.md")
    conf = (PROJECTS / shop.name / "gunicorn_conf.py").read_text()
    own = conf.replace("def post_fork(server, worker)", "def post_worker_init(worker)")
    (shop.directory / "gevent_conf.py").write_text(f"from gevent import monkey\n\nmonkey.patch_all()\n{own}")
    one_request(shop, f"{options} --worker-class gevent --config {shop.directory}/gevent_conf.py")


def one_request(shop, options):
    shop.start_worker()
    web, url = shop.start_web("gunicorn --config", more=options)
    send(url)
    spans = shop.seen(both_ran())
    request = root_of(spans)
    assert [one(spans, f"apply_async/shop.{task}").parent for task in ("charge", "send_receipt")] == [request.id] * 2
    assert continues(spans, "shop.charge")
    assert links(spans, "shop.send_receipt")
    assert request.resource["service.name"] == "shop-web"
    assert one(spans, "run/shop.charge").resource["service.name"] == "shop-worker"
    web.stop()
    assert "Traceback" not in web.output, web.output


def test_a_warm_stop_loses_nothing(project):
    """Exports are an hour apart, so that only what is flushed when the processes stop comes out."""
    package("gunicorn")
    package("opentelemetry.instrumentation.wsgi")
    shop = project("gunicorn_shop", "set-up/gunicorn.md")
    shop.env = {**shop.env, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    worker = shop.start_worker()
    web, url = shop.start_web("gunicorn --config")
    for _ in range(5):
        send(url)
    web.stop()
    worker.stop()  # warm: it finishes what it has
    shop.start_worker().stop()  # and what it had not taken yet
    spans = list(shop.spans.spans())
    assert len(named(spans, "run/shop.charge")) == 5
    assert len(named(spans, "run/shop.send_receipt")) == 5
    assert len(named(spans, "apply_async/shop.charge")) == 5
