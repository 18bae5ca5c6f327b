"""Settings of a Django project that keeps the results of its tasks by django-celery-results."""

from __future__ import annotations

import os

SECRET_KEY = "of a test"
USE_TZ = True
INSTALLED_APPS = ["django_celery_results"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["OTEL_LINKS_TEST_DATABASE"],
        # Without locks on rows two header tasks could count themselves at the same time.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }
}
