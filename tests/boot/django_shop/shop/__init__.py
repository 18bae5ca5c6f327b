"""As Celery's documentation has it: the app is made when Django starts, before there are settings."""

from shop.celery import app as celery_app

__all__ = ["celery_app"]
