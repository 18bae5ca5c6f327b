"""Every block of code in README.md and docs/ is run, checked or parsed here; a block that nobody handles fails."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.docs import commands
from tests.docs.pages import REPOSITORY, Block, blocks, pages, programs
from tests.harness.needs import needs

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Pages whose code stands in the middle of an application; this stands before it.
FRAGMENTS = {
    "docs/testing.md": "STORY = ''\n",
    "docs/configuration.md": "from celery import Celery\nimport celery_otel_links\napp = Celery('shop')\n",
}
# Python that is type-checked and not run, and why.
NOT_RUN = {
    ("docs/tutorial.md", "checkout.py"): "run by test_tutorial.py, with a worker",
}
# What a page's code imports besides what the tests need anyway.
PACKAGES = {"docs/logs.md": "structlog"}
# celery-types declare no such keyword; docs/which-mode.md says what passes with them.
UNKNOWN_TO_STUBS = 'Unexpected keyword argument "otel_propagation" for "apply_async"'
# Neither broker nor collector is needed, and none is spoken to.
ALONE = {"CELERY_BROKER_URL": "memory://", "OTEL_SDK_DISABLED": "true"}
WITH_PYTHON = [page for page in pages() if programs(page)]
EVERY = list(blocks())


def python_is_a_program(block: Block) -> None:
    compile(block.text, str(block), "exec")
    assert block.text in "\n\n".join(programs(block.page).values())


def shell(block: Block) -> None:
    for command in commands.split(block.text):
        commands.check(command)


def is_yaml(block: Block) -> None:
    documents = list(yaml.safe_load_all(block.text))
    assert all(isinstance(document, dict) for document in documents)
    if "file_format" in documents[0]:
        loader = pytest.importorskip("opentelemetry.configuration")
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(block.text)
            file.flush()
            loader.load_config_file(file.name)


def is_ini(block: Block) -> None:
    """A systemd unit or a uWSGI file, which may say a thing several times."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(block.text)
    assert parser.sections()
    if parser.has_option("Service", "ExecStart"):
        commands.check(parser["Service"]["ExecStart"])


def promql(block: Block) -> None:
    needs(shutil.which("promtool"), "promtool, which comes with Prometheus")
    expressions = [text for text in re.split(r"\n\s*\n|^#.*$", block.text, flags=re.MULTILINE) if text.strip()]
    rules = [{"record": f"shown:{number}", "expr": text} for number, text in enumerate(expressions)]
    checked = subprocess.run(
        ["promtool", "check", "rules", "/dev/stdin"],
        input=yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def only_shown(_block: Block) -> None:
    """No code, or of a language that nothing here can read: what is printed, a drawing, TraceQL, a template."""


HANDLERS: dict[str, Callable[[Block], None]] = {
    "python": python_is_a_program,
    "sh": shell,
    "bash": shell,
    "console": shell,
    "yaml": is_yaml,
    "json": lambda block: json.loads(block.text),
    "toml": lambda block: tomllib.loads(block.text),
    "ini": is_ini,
    "promql": promql,
    "traceql": only_shown,
    "text": only_shown,
    "": only_shown,
    "{toctree}": only_shown,  # Sphinx reads these
    "{eval-rst}": only_shown,
    "{glossary}": only_shown,
}


@pytest.mark.parametrize("block", EVERY, ids=str)
def test_a_block_is_what_it_says(block):
    assert block.language in HANDLERS, f"nobody handles {block.language!r}"
    HANDLERS[block.language](block)


@pytest.mark.parametrize("block", EVERY, ids=str)
def test_variables_and_attributes_in_a_block_exist(block):
    variables = dict.fromkeys(re.findall(r"\bOTEL_[A-Z_]+[A-Z]\b(?!_)", re.sub(r"CELERY_OTEL_\w+", "", block.text)))
    # What tests and pages call so by themselves begins otherwise.
    assert [name for name in variables if not commands.known_to_opentelemetry(name)] == []
    if block.language in ("yaml", "traceql"):
        source = "".join(path.read_text() for path in (REPOSITORY / "celery_otel_links").rglob("*.py"))
        names = re.findall(r"\b(?:celery|messaging)\.[a-z_]+\.?[a-z_.]*[a-z]", block.text)
        assert [name for name in names if f'"{name}"' not in source] == []


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_is_right_for_mypy(page, tmp_path, cache):
    write(page, tmp_path)
    needs(shutil.which("mypy", path=str(Path(sys.executable).parent)), "mypy")
    options = ["--ignore-missing-imports", "--check-untyped-defs", "--cache-dir", str(cache)]
    checked = run(["-m", "mypy", *options, *programs(page)], tmp_path)
    assert checked.returncode in (0, 1), checked.stdout + checked.stderr
    assert [line for line in checked.stdout.splitlines() if " error: " in line and UNKNOWN_TO_STUBS not in line] == []


@pytest.mark.parametrize(("page", "name"), [(page, name) for page in WITH_PYTHON for name in programs(page)])
def test_the_python_of_a_page_runs(page, name, tmp_path):
    write(page, tmp_path)
    if page in PACKAGES:
        needs(importlib.util.find_spec(PACKAGES[page]), PACKAGES[page])
    if (page, name) not in NOT_RUN:
        ended = run([name], tmp_path)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def write(page: str, folder: Path) -> None:
    for name, text in programs(page).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FRAGMENTS.get(page, "") + text if name == "page.py" else text)


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CELERY_"))}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=kept | ALONE, capture_output=True, text=True, timeout=120
    )
