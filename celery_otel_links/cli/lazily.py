"""The commands, each imported when it is called: every start of `celery` looks at them, a worker's too."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "doctor": "celery_otel_links.cli.doctor",
    "explain": "celery_otel_links.cli.explain",
    "trace": "celery_otel_links.cli.trace",
    "view": "celery_otel_links.cli.view",
    "watch": "celery_otel_links.cli.watch",
}
"""Each command, by the module that has it under the same name."""


class Commands(click.Group):
    """A group whose commands are modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name)
        return command
