"""When a message in a queue was published: what its header says, and unknown for all else that may lie there."""

from __future__ import annotations

import json

import pytest

from celery_otel_links._wire.header import HEADER
from celery_otel_links.cli.queues import _published


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"headers": {HEADER: "v=1;t=1700000000.500000;mode=child;reason=default;rank=9"}}, 1700000000.5),
        ({"headers": {HEADER: "v=1;mode=child"}}, None),
        ({"headers": {HEADER: "v=1;t=soon"}}, None),
        ({"headers": {HEADER: 5}}, None),
        ({"headers": {}}, None),
        ({"headers": None}, None),
        ({}, None),
        (["a", "list"], None),
        (7, None),
    ],
)
def test_only_a_message_with_our_header_says_when_it_was_published(message, expected):
    assert _published(json.dumps(message)) == expected
    assert _published(json.dumps(message).encode()) == expected


@pytest.mark.parametrize("message", ["", "no json", b"\xff\xfe", "[" * 50])
def test_what_is_no_message_says_nothing(message):
    assert _published(message) is None
