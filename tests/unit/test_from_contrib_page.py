"""docs/from-contrib.md names every attribute that contrib can emit, and says what is emitted here instead."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from celery_otel_links._declared.attributes import ATTRIBUTES, CONTRIB_ATTRIBUTES
from tests.unit.test_docs import rows

contrib = pytest.importorskip("opentelemetry.instrumentation.celery")
utils = pytest.importorskip("opentelemetry.instrumentation.celery.utils")
# Declared in contrib's source and set nowhere in it.
NEVER = {"celery.revoked.reason", "celery.terminated.signal"}
TABLE = [re.sub("`", "", row[0]) for row in rows("from-contrib.md", "contrib | here |")]


def emitted_by_contrib() -> set[str]:
    """What its own function makes of a task of which everything is known, and its constants."""
    names: set[str] = set()
    span = SimpleNamespace(is_recording=lambda: True, set_attribute=lambda name, _value: names.add(name))
    known = dict.fromkeys(utils.CELERY_CONTEXT_ATTRIBUTES, "something")
    known |= {"delivery_info": {"routing_key": "celery"}, "timelimit": [1, 2], "retries": 1}
    known["declare"] = [SimpleNamespace(exchange=SimpleNamespace(type="direct"))]
    utils.set_attributes_from_context(span, known)
    return names | {value for name, value in vars(contrib).items() if re.match("_TASK_.*_KEY$", name)} - NEVER


def test_the_page_has_all_of_contribs_attributes_in_order():
    assert sorted(emitted_by_contrib()) == TABLE


def test_what_is_said_to_stand_in_their_place_is_declared():
    said = {name for _, here, _ in rows("from-contrib.md", "contrib | here |") for name in re.findall("`(.*?)`", here)}
    assert said <= set(ATTRIBUTES)


@pytest.mark.parametrize(
    "name",
    [row[0].strip("`") for row in rows("from-contrib.md", "contrib | here |") if "with `contrib_names`" in row[2]],
)
def test_what_needs_contrib_names_is_declared_to_need_them(name):
    assert name in CONTRIB_ATTRIBUTES


def test_all_that_contrib_emits_is_declared():
    assert emitted_by_contrib() <= {*ATTRIBUTES, *CONTRIB_ATTRIBUTES}
