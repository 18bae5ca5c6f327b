"""The pages on the wire format and on how it works name what the source has."""

from __future__ import annotations

import re

import pytest
from celery.app.task import Context as Request

from celery_otel_links._wire import header, w3c
from tests.test_architecture import FOLDERS, PACKAGE
from tests.unit.test_docs import DOCS, blocks, rows

WIRE, FLOW = "reference/wire.md", "how-it-works.md"


def test_every_key_of_the_header_stands_on_the_page_in_its_order():
    assert [row[0] for row in rows(WIRE, "key")] == [f"`{key}`" for key in ("v", "t", *header._KEYS)]


def test_the_header_of_the_page_is_read_and_written_as_it_stands():
    text = blocks(WIRE, "text")[0].strip()
    published, claims = header.decode(text)
    assert header.encode(published, claims) == text
    assert (claims.mode, claims.reason, claims.rank) == ("link", "fan-out", 5)


def test_the_list_of_header_tasks_of_the_page_is_read_and_written_as_it_stands():
    text = blocks(WIRE, "text")[1].strip()
    contexts, dropped = header.decode_headers(text)
    assert len(contexts) == 2
    assert header.encode_headers(contexts, dropped=dropped) == text


def test_the_limits_of_the_page_are_those_of_the_source():
    page = (DOCS / WIRE).read_text()
    assert f"{header.MAX_LENGTH:,} ASCII" in page
    assert f"{header.MAX_HEADERS_LENGTH:,} characters" in page
    assert f"at most {header.MAX_LINKS} header" in page


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:_\w+|cli)/(?:\w+\.py)?)`", (DOCS / FLOW).read_text()))))
def test_what_the_page_on_how_it_works_names_is_there(path):
    assert (PACKAGE / path).exists()


def test_the_folders_stand_in_the_order_in_which_they_are_read():
    told = [row[0].strip("`/") for row in rows(FLOW, "folder") if row[0].endswith("/`")]
    assert told == [*(folder for folder in FOLDERS if (PACKAGE / folder).is_dir()), "cli"]


def test_a_context_in_inner_headers_is_read_as_the_page_on_datadog_says():
    request = Request({"headers": {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}})
    _, found = w3c.extract(request, True)
    assert found is not None
    assert found.span_id == 0x00F067AA0BA902B7
