"""The cut of the package: folders, import floors, the length of files and signatures, what is public."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from celery import signals
from celery.utils.dispatch import Signal

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "celery_otel_links"
LONGEST_FILE = 250
MOST_PARAMETERS = 6
MOST_FLOORS = 6

# The folders in the order in which they are read. A module imports from its own folder and from those before it.
FOLDERS = [
    "_version",
    "_forks",
    "_errors",
    "_declared",
    "_config",
    "_rules",
    "_wire",
    "_emit",
    "_tracing",
    "_worker",
    "_contrib",
]
# The records that everything else is about are read first.
EARLY = "_rules.facts"
# What Celery calls with everything that it knows, and what the SDK calls.
CALLED_FROM_OUTSIDE = {*(name for name in vars(signals) if isinstance(getattr(signals, name), Signal)), "should_sample"}


def modules() -> dict[str, ast.Module]:
    """Every module but the front doors, by its dotted name below the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] != "__init__":
            found[".".join(parts)] = ast.parse(path.read_text())
    return found


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names of all that is imported anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def ours() -> dict[str, set[str]]:
    """Which of our modules each of them imports."""
    known = modules()
    return {
        name: {
            found.removeprefix("celery_otel_links.")
            for found in imports(tree)
            if found.removeprefix("celery_otel_links.") in known
        }
        for name, tree in known.items()
    }


def floor(name: str, above: tuple[str, ...] = ()) -> int:
    """1 for a module that imports none of ours, otherwise one more than the highest that it imports."""
    assert name not in above, f"a circle of imports: {' -> '.join((*above, name))}"
    return 1 + max((floor(other, (*above, name)) for other in ours()[name]), default=0)


def test_there_are_few_floors_and_no_circles():
    floors = {name: floor(name) for name in modules()}
    assert max(floors.values()) <= MOST_FLOORS, sorted(floors.items(), key=lambda one: one[1])


def place(name: str) -> int:
    """The folder of a module, by its place in the order of reading; modules outside of folders are read last."""
    if name == EARLY:
        return 0
    folder = name.partition(".")[0]
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)


def test_a_folder_imports_from_itself_and_from_those_that_are_read_before_it():
    upwards = [
        f"{name} imports {other}" for name, others in ours().items() for other in others if place(other) > place(name)
    ]
    assert upwards == []


def test_no_import_is_hidden_from_the_interpreter():
    hidden = [name for name, tree in modules().items() if "TYPE_CHECKING" in ast.unparse(tree)]
    assert hidden == []


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{name}.{node.name}", node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many parameters a caller has to think of."""
    arguments = function.args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_no_function_but_receivers_has_many_parameters():
    many = {
        name: parameters(function)
        for name, function in functions()
        if function.name not in CALLED_FROM_OUTSIDE and parameters(function) > MOST_PARAMETERS
    }
    assert many == {}


def test_only_a_few_modules_need_the_sdk():
    """A sampler is a part of it; exporters are tried and made, and spans recorded, where it is."""
    needing = {name for name, tree in modules().items() if any("opentelemetry.sdk" in one for one in imports(tree))}
    assert needing <= {"sampling", "testing", "_worker.trial", "cli.metering"}


def test_the_public_names_are_these():
    import celery_otel_links

    public = ["CeleryLinksInstrumentor", "Config", "ConfigError", "attach", "capture", "propagation", "setup"]
    assert sorted({*celery_otel_links.__all__} - {"__version__"}) == public
    assert all(hasattr(celery_otel_links, name) for name in celery_otel_links.__all__)


@pytest.mark.parametrize("folder", ["celery_otel_links", "tests/harness", "tests/acceptance"])
def test_files_are_short_and_say_what_they_are(folder):
    trees = {path: path.read_text() for path in (REPOSITORY / folder).rglob("*.py")}
    assert [str(path) for path, text in trees.items() if len(text.splitlines()) > LONGEST_FILE] == []
    assert [str(path) for path, text in trees.items() if text.strip() and not ast.get_docstring(ast.parse(text))] == []


def test_only_waiting_sleeps():
    sleepers = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "sleep"
    }
    assert sleepers <= {
        "tests/harness/waiting.py",
        "tests/acceptance/shop.py",
        "tests/lifecycle/tasks.py",
        "tests/operated/alerted_app.py",
        "tests/operated/app.py",
        "tests/systems/batch_app.py",
        "tests/viewer/other.py",
    }  # a task may take its time
