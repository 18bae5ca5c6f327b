"""How commands answer: a table for people, by rich, and JSON for programs, which needs nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO

import click

NEEDS = "tables need rich: pip install 'celery-otel-links[cli]', or use --json"


def as_json(value: object, to: TextIO | None = None) -> None:
    """Print ``value`` as JSON, to stdout unless told otherwise; what JSON does not know is printed as text."""
    click.echo(json.dumps(value, indent=2, default=str), to)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as wide as the terminal.

    Raises:
        click.ClickException: rich is not installed; says how to get it.
    """
    rich: Any
    try:
        import rich
        from rich.table import Table
        from rich.text import Text
    except ImportError as error:
        raise click.ClickException(NEEDS) from error
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*[Text("" if cell is None else str(cell)) for cell in row])  # no markup in what others have named
    rich.print(made)
