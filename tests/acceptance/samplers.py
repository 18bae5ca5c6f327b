"""The samplers that a scenario's worker may have, by name."""

from __future__ import annotations

from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler, TraceIdRatioBased

from celery_otel_links.sampling import LinkedSampler

VARIABLE = "OTEL_LINKS_TEST_SAMPLER"
SAMPLERS: dict[str, Sampler] = {
    "always": ALWAYS_ON,
    "linked, a tenth": LinkedSampler(TraceIdRatioBased(0.1)),
    "linked, never": LinkedSampler(ALWAYS_OFF),
    "linked, never, but whoever is linked to": LinkedSampler(ALWAYS_OFF, follow=lambda _: True),
    "a fan-out on its own": LinkedSampler(
        ALWAYS_OFF, follow=lambda attributes: attributes["celery.propagation.reason"] != "fan-out"
    ),
}


def sampled(name: str) -> dict[str, object]:
    """What makes a stage whose worker has this sampler."""
    return {"app": "tests.acceptance.sampled_app:app", "env": {VARIABLE: name}}
