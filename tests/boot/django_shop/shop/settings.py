"""Settings; those whose names begin with CELERY_ come from the test, as JSON."""

from __future__ import annotations

import json
import os

SECRET_KEY = "a test's"
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
CELERY_BROKER_URL = "memory://"
globals().update(json.loads(os.environ.get("SHOP_SETTINGS", "{}")))
