"""`celery_otel_links.typed` is for type checkers: tests/typing/api.py has what they see."""

from __future__ import annotations

import celery

from celery_otel_links import typed


def test_it_is_what_celery_has():
    assert typed.shared_task is celery.shared_task
