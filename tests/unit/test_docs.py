"""What the pages show works as it stands there, and what they list is all that there is."""

from __future__ import annotations

import ast
import logging.config
import re
import shlex
import sys
import traceback
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from celery import Celery, signals
from opentelemetry.trace import Link, SpanContext, TraceFlags

from celery_otel_links import CeleryLinksInstrumentor, Config, ConfigError
from celery_otel_links._config.sources import Configuration
from celery_otel_links._rules.policy import RULES, trusted
from celery_otel_links.logs import TaskContextFilter
from celery_otel_links.sampling import linked_traceidratio
from celery_otel_links.testing import captured_spans
from tests.boot.programs import python, run

DOCS = Path(__file__).parents[2] / "docs"
LINKED = [Link(SpanContext(1, 2**127 + 1, True, TraceFlags(1)), {"celery.link.kind": "producer"})]


def blocks(page, language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found


def rows(page, heading):
    """The cells of the table with this first heading."""
    table = (DOCS / page).read_text().partition(f"| {heading} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()[2:]]


def variables(page):
    """The variables that the page's commands set."""
    words = [word for block in blocks(page, "sh") for word in shlex.split(block)]
    return dict(word.split("=", 1) for word in words if re.match("[A-Z_]+=", word))


@pytest.fixture
def shown():
    """The names that a page's code makes."""

    def run(page):
        names = {}
        for block in blocks(page, "python"):
            exec(compile(block, page, "exec"), names)
        return names

    yield run
    if CeleryLinksInstrumentor().is_instrumented_by_opentelemetry:
        CeleryLinksInstrumentor().uninstrument()


def test_the_samplers_of_the_page(shown):
    names = shown("sampling.md")
    assert names["provider"].sampler.get_description() == "LinkedSampler{TraceIdRatioBased{0.1}}"
    last = 2**64 - 1  # the trace id that a ratio takes last

    def taken(sampler, reason):
        return sampler.should_sample(
            None, last, "run", None, {"celery.propagation.reason": reason}, LINKED
        ).decision.is_sampled()

    reasons = ["task", "fan-out", "trust"]
    assert [taken(names["provider"].sampler, reason) for reason in reasons] == [True, True, False]
    assert [taken(names["per_task"], reason) for reason in reasons] == [True, False, False]


def test_what_the_page_on_publishing_later_shows_runs(shown):
    names = shown("publishing-later.md")
    assert names["outbox"] == []


def test_the_environment_of_the_page_on_sampling():
    told = variables("sampling.md")
    assert told["OTEL_TRACES_SAMPLER"] == "linked_traceidratio"
    description = linked_traceidratio(told["OTEL_TRACES_SAMPLER_ARG"]).get_description()
    assert description == "LinkedSampler{TraceIdRatioBased{0.1}}"


@pytest.mark.parametrize(
    ("queue", "expected"), [("public", "link"), ("public-eu", "link"), ("legacy", "none"), ("orders", "child")]
)
def test_the_configuration_of_the_page_on_trust(shown, queue, expected):
    config = Configuration().of(shown("trust.md")["app"])
    assert trusted(config.trust.first, queue, {queue: queue}) == expected
    assert config.baggage == {"tenant"}


def test_the_environment_of_the_page_on_trust():
    config = Config.from_mapping(environ=variables("trust.md"))
    assert trusted(config.trust.first, "whatever the sender says", {"public": "public"}) == "link"


def test_the_error_of_the_page_on_configuration():
    app = Celery(set_as_current=False)
    app.conf.otel_links = {"tasks": {"reports.*": "lnk"}}
    with pytest.raises(ConfigError) as raised:
        Configuration(app=app).checked(app)
    assert blocks("configuration.md", "text")[0] == "".join(traceback.format_exception_only(raised.type, raised.value))


def test_every_option_with_its_default_stands_on_the_page_on_configuration():
    options = {key.strip("`"): default.strip("`") for key, default, *_ in rows("configuration.md", "key")}
    assert list(options) == [option.name for option in fields(Config)]
    defaults = {key: ast.literal_eval(default) for key, default in options.items()}
    assert Config.from_mapping(defaults, environ={}) == Config()


@pytest.mark.parametrize("row", rows("configuration.md", "key"), ids=lambda row: row[0].strip("`"))
def test_the_texts_for_the_environment_are_read_and_are_not_the_default(row):
    key, default, _, texts = row
    variable = f"CELERY_OTEL_LINKS_{key.strip('`').upper()}"
    if not texts:  # then nothing is read there
        assert Config.from_mapping(environ={variable: "x"}) == Config()
    for text in re.findall("`(.*?)`", texts):
        assert (Config.from_mapping(environ={variable: text}) == Config()) == (text == default.strip("`").lower())


def test_every_rule_stands_in_its_rank_on_the_page_on_configuration():
    told = [(int(rank), reason.strip("`")) for rank, _, _, reason in rows("configuration.md", "rank")]
    assert told == [(rank, reason) for rank, (reason, _) in enumerate(RULES, start=1)]


FORMATS = """
import logging
from celery.utils.log import get_multiprocessing_logger, get_task_logger
app.log.setup_logging_subsystem(loglevel="INFO")
logging.getLogger("of a library").warning("library")
get_task_logger("shop").warning("task")
get_multiprocessing_logger().error("pool")
"""


def test_every_logger_of_celery_can_write_in_the_formats_of_the_page_on_logs():
    ended = python(blocks("logs.md", "python")[0] + FORMATS)
    assert "Logging error" not in ended.err, ended.err
    assert [line.rpartition(" ")[2] for line in ended.err.splitlines()] == ["library", "task", "pool"]


def test_what_the_page_on_logs_shows_runs(monkeypatch):
    log, plain, django, structlog = [], *blocks("logs.md", "python")
    names = {}
    exec(compile(plain, "logs.md", "exec"), names)
    try:
        handler, logger = logging.StreamHandler(), logging.Logger("of a worker")
        logger.addHandler(handler)
        signals.after_setup_logger.send(sender=None, logger=logger)
        handler.setFormatter(logging.Formatter(names["app"].conf.worker_task_log_format))
        handler.emit = lambda record: log.append(handler.format(record))
        logger.warning("text")
        assert log[0].endswith("[] trace= origin= text")
    finally:
        signals.after_setup_logger.disconnect(names["add_task_context"])
        signals.after_setup_task_logger.disconnect(names["add_task_context"])
    exec(compile(django, "logs.md", "exec"), names)
    configurator = logging.config.DictConfigurator(names["LOGGING"])
    assert isinstance(configurator.configure_filter(names["LOGGING"]["filters"]["task"]), TaskContextFilter)
    made = ModuleType("structlog")
    made.configure = lambda processors: log.append(processors[0](None, "info", {"event": "text"}))
    made.processors = ModuleType("processors")
    made.processors.JSONRenderer = lambda: None
    monkeypatch.setitem(sys.modules, "structlog", made)
    exec(compile(structlog, "logs.md", "exec"), names)
    assert log[1] == {"event": "text"}


def test_what_the_page_on_testing_shows_passes(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)  # options of these tests, which are not those of a reader
    story = blocks("testing.md", "text")[0].rstrip()
    used = "def test_the_fixture(captured): assert captured.spans == []\n"
    code = [*blocks("testing.md", "python"), f"STORY = {story!r}\n", used]
    (tmp_path / "test_page.py").write_text("\n".join(code))
    ended = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"], cwd=tmp_path)
    assert "3 passed" in ended.out, ended.output


def test_every_public_name_of_what_is_captured_stands_on_the_page_on_testing():
    told = {
        name.partition("(")[0]
        for row in rows("testing.md", "of the captured spans")
        for name in re.findall("`(.*?)`", row[0])
    }
    with captured_spans() as captured:
        assert told == {name for name in dir(captured) if not name.startswith("_")}
