"""Django tasks that are published when a transaction commits keep the mode and the context of their call."""

from __future__ import annotations

import celery
import pytest

import celery_otel_links

django = pytest.importorskip("django", reason="needs Django")
pytestmark = pytest.mark.skipif(celery.VERSION < (5, 4), reason="Celery has DjangoTask from 5.4 on")


@pytest.fixture(scope="module")
def atomic():
    """The transactions of a real database, in memory."""
    from django.conf import settings

    if not settings.configured:
        databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        settings.configure(DATABASES=databases)
        django.setup()
    from django.db import transaction

    return transaction.atomic


@pytest.mark.parametrize("call", [lambda task: task.delay_on_commit(), lambda task: task.apply_async_on_commit()])
def test_a_task_is_published_as_of_its_call(shop, atomic, call):
    from celery.contrib.django.task import DjangoTask

    task = shop.task("shop.receipt", base=DjangoTask)
    with shop.tracer.start_as_current_span("request"), atomic():
        with celery_otel_links.propagation("link"), shop.tracer.start_as_current_span("view") as view:
            call(task)
        assert shop.sent == []
    (published,) = shop.named("apply_async/shop.receipt")
    assert published.parent.span_id == view.get_span_context().span_id
    assert published.attributes["celery.propagation.reason"] == "call"
    assert published.attributes["celery.propagation.mode"] == "link"
    assert 0 <= published.attributes["celery.latency.handover"] < 60


def test_afterwards_celery_is_as_it_was(atomic):
    from celery.contrib.django.task import DjangoTask

    assert DjangoTask.delay_on_commit.__qualname__ == "DjangoTask.delay_on_commit"
    assert not hasattr(DjangoTask.delay_on_commit, "__wrapped__")
