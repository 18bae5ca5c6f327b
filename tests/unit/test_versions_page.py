"""The page of what was run says what is kept of the runs, and what is kept is what pytest wrote."""

from __future__ import annotations

from tests.matrix import page, results

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="2" tests="6">
<testcase classname="tests.unit.test_a" name="test_good" />
<testcase classname="tests.unit.test_a" name="test_good_too" />
<testcase classname="tests.unit.test_a" name="test_bad[1]"><failure message="no">no</failure></testcase>
<testcase classname="tests.unit.test_a" name="test_broken"><error message="no">no</error></testcase>
<testcase classname="tests.unit.test_a" name="test_lacks"><skipped message="needs x" /></testcase>
<testcase classname="tests.unit.test_a" name="test_lacks_too"><skipped message="needs x" /></testcase>
</testsuite></testsuites>
"""


def test_the_page_is_made_of_what_is_kept():
    assert page.PAGE.read_text() == page.text(results.load())


def test_failures_and_skips_stand_on_the_page_with_their_reasons(tmp_path):
    junit = tmp_path / "junit.xml"
    junit.write_text(JUNIT)
    result = results.read(junit, date="2026-11-30", python="3.10.13", celery="5.2.7", opentelemetry="1.24.0")
    shown = page.text({"py310-celery52-oldest": result, "py314t-celery57": None})
    assert "| `py310-celery52-oldest` | 5.2.7 | 3.10.13 | 1.24.0 | 2 | 2 | 2 | 2026-11-30 |" in shown
    assert "- `py310-celery52-oldest`: `tests.unit.test_a::test_bad[1]`\n" in shown
    assert "- `py310-celery52-oldest`: `tests.unit.test_a::test_broken`\n" in shown
    assert "- needs x: `py310-celery52-oldest`\n" in shown
    assert "Not run, because the interpreter was not there: `py314t-celery57`." in shown
