"""The cut of the package: who may import whom, how long a file may be, what is public, where the SDK is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "celery_otel_links"
LONGEST = 250

# The package can be read in this order: a module imports only what stands above it.
READING_ORDER = [
    *("_modes", "_config", "_canvas", "_message", "_latency", "_wire", "_policy", "_relation", "_attributes"),
    *("_spans", "_outcome", "_guard", "_pending", "_instruments", "_metrics", "_carrier", "_plan", "_telemetry"),
    *("_flush", "_fan_in", "_delivery"),
    *("_run", "_claims", "_publish", "_farewell", "_watch", "_lifecycle", "_start", "_predecessor", "instrumentor"),
    *("sampling", "cli", "__init__"),
]

# What decides, measures, relates and encodes is pure, and knows of the rest of us only this.
PURE: dict[str, set[str]] = {
    "_modes": set(),
    "_config": {"_modes"},
    "_canvas": set(),
    "_latency": set(),
    "_wire": set(),
    "_message": {"_canvas"},
    "_policy": {"_config"},
    "_relation": {"_wire"},
}


def modules() -> dict[str, ast.Module]:
    return {path.stem: ast.parse(path.read_text()) for path in sorted(PACKAGE.glob("*.py"))}


def imports(tree: ast.AST, *, only_module_level: bool = False) -> Iterator[str]:
    """The dotted names of what is imported when it runs."""
    for node in _nodes(tree, functions=not only_module_level):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "celery_otel_links" if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def ours(tree: ast.AST) -> set[str]:
    names = {name.split(".")[1] for name in imports(tree) if name.startswith("celery_otel_links.")}
    return names & set(modules())


def _nodes(tree: ast.AST, *, functions: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if for_types or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not functions):
            continue
        yield node
        yield from _nodes(node, functions=functions)


def test_a_module_imports_only_what_stands_above_it():
    assert sorted(set(modules()) - set(READING_ORDER)) == []
    place = READING_ORDER.index
    found = [(name, other) for name, tree in modules().items() for other in ours(tree)]
    assert [(name, other) for name, other in found if place(other) >= place(name)] == []


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_imports_only_what_it_may(name):
    assert ours(modules()[name]) <= PURE[name]


def test_deciding_and_measuring_need_neither_celery_nor_opentelemetry():
    for name in ("_policy", "_latency", "_canvas"):
        roots = {found.split(".")[0] for found in imports(modules()[name])}
        assert not roots & {"celery", "kombu", "opentelemetry"}


def test_only_the_command_line_and_the_public_names_import_the_instrumentor():
    importers = {name for name, tree in modules().items() if "instrumentor" in ours(tree)}
    assert importers <= {"__init__", "cli"}


def test_only_sampling_needs_the_sdk():
    needing = {
        name
        for name, tree in modules().items()
        if any(found.startswith("opentelemetry.sdk") for found in imports(tree, only_module_level=True))
    }
    assert needing <= {"sampling"}


def test_the_public_names_are_these():
    import celery_otel_links

    public = ["CeleryLinksInstrumentor", "Config", "ConfigError", "propagation", "setup"]
    assert sorted(celery_otel_links.__all__) == public
    assert all(hasattr(celery_otel_links, name) for name in public)


@pytest.mark.parametrize("folder", ["celery_otel_links", "tests/harness", "tests/acceptance"])
def test_files_are_short_and_say_what_they_are(folder):
    trees = {path: path.read_text() for path in (REPOSITORY / folder).rglob("*.py")}
    assert [str(path) for path, text in trees.items() if len(text.splitlines()) > LONGEST] == []
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
    }  # a task may take its time
