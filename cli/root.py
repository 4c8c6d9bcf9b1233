"""What all commands share: the form of their help, and the values that they refuse."""

from __future__ import annotations

from math import isnan
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class _Common:
    """Shared by commands and groups of commands."""

    help: str | None
    params: list[Any]

    def get_short_help_str(self, limit: int = 0) -> str:
        """The whole first paragraph of the help, however narrow the list of commands is."""
        return " ".join((self.help or "").partition("\n\n")[0].split())

    def check(self, context: typer.Context) -> None:
        """Raises BadParameter for NaN, which passes every comparison with a limit."""
        for parameter in self.params:
            value = context.params.get(parameter.name)
            if isinstance(value, float) and isnan(value):
                raise typer.BadParameter(f"{value} is no number", context, parameter)


class Command(_Common, TyperCommand):
    """A command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        self.check(ctx)
        return rest


class Group(_Common, TyperGroup):
    """A group of commands, which shows its help if it is given no arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit(2)
        rest = super().parse_args(ctx, args)
        self.check(ctx)
        return rest
