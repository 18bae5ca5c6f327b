"""A Django with what people add to it for Celery, on SQLite in a test's folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

APPS = ("django_celery_beat", "django_celery_results", "django_structlog")


def configure(folder: Path) -> None:
    """Set Django up in this process."""
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="for tests",
        USE_TZ=True,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "django.sqlite",
                "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
            }
        },
        INSTALLED_APPS=["django.contrib.contenttypes", *APPS],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DJANGO_STRUCTLOG_CELERY_ENABLED=True,
    )
    django.setup()


def migrate(folder: Path) -> None:
    """Make the tables, in a process of its own."""
    subprocess.run([sys.executable, "-m", "tests.systems.django_site", str(folder)], check=True, capture_output=True)


if __name__ == "__main__":
    configure(Path(sys.argv[1]))
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
