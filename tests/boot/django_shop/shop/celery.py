"""The Celery app of a Django project, with ours set up unless the zero-code command does it."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

if "SHOP_ZERO_CODE" not in os.environ:
    import celery_otel_links

    celery_otel_links.setup(app)
