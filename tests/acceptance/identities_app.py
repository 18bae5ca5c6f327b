"""The scenarios' application with an id generator of its own, which can't be reached if the environment says so."""

from __future__ import annotations

import os

from celery_otel_links import CeleryLinksInstrumentor
from tests.acceptance.app import app, settings
from tests.acceptance.test_both_directions import OpaqueProvider, TimedIdGenerator, provider_to

CeleryLinksInstrumentor().uninstrument()
provider = provider_to(settings.spans, id_generator=TimedIdGenerator())
CeleryLinksInstrumentor().instrument(
    app=app, tracer_provider=OpaqueProvider(provider) if os.environ["OTEL_LINKS_TEST_OPAQUE"] else provider
)
