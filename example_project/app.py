"""The shop's Celery application. Two lines are about celery-otel-links: its configuration and `setup`."""

import os

from celery import Celery

import celery_otel_links
from example_project import telemetry

telemetry.configure()  # your own OpenTelemetry set-up; under `opentelemetry-instrument` there is nothing to do

app = Celery(
    "shop",
    broker="redis://localhost",  # the environment's CELERY_BROKER_URL and CELERY_RESULT_BACKEND outrank these
    backend="redis://localhost",
    include=["example_project.tasks"],
)
app.conf.task_default_queue = os.environ.get("SHOP_QUEUE", "shop")
app.conf.result_expires = 600

app.conf.otel_links = {  # every key is optional; these two are smaller than usual, so that a short demo reaches them
    "delay_threshold": 2,  # a task that is due later than this gets a trace of its own (default: 60 seconds)
    "fan_out_threshold": 4,  # and so does every message of a loop beyond this many (default: 20)
}
celery_otel_links.setup(app)
