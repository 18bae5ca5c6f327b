"""Celery's own tests, plain and with ours active: not part of CI, since they take half an hour."""
