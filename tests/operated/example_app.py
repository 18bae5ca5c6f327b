"""The tasks of the example on a worker of the tests: they do nothing, but for publishing themselves when told so."""

from __future__ import annotations

import os
from pathlib import Path

from celery import signals
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.harness.recording import JsonLinesSpanExporter
from tests.harness.workers import Settings

settings = Settings.of_environment()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(JsonLinesSpanExporter(settings.spans)))
trace.set_tracer_provider(provider)

from example_project.app import app  # noqa: E402

app.conf.update(settings.conf, broker_url=settings.broker, result_backend=settings.backend)
app.finalize()
app.loader.import_default_modules()


def do_nothing(name):
    def run(*args, **kwargs):
        if args == ("again",):
            app.tasks[name].apply_async(("once",))

    return run


for one in app.tasks.values():
    if one.name.startswith("shop."):
        one.run, one.typing = do_nothing(one.name), False


@signals.worker_ready.connect(weak=False)
def say_ready(**_: object) -> None:
    Path(settings.ready).write_text(str(os.getpid()))
