"""docs/scale.md names every flag of the plan, and every profile that ships."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main

from nestling.capacity.profile.library import names
from nestling.cli.plan import plan

DOCS = Path(__file__).parents[2] / "docs"
GROUP = typer.main.get_group(plan)


@pytest.mark.parametrize("command", [GROUP, *GROUP.commands.values()])
def test_every_flag(command: typer.core.TyperCommand) -> None:
    section = (DOCS / "scale.md").read_text("utf-8").split("## Flags")[1].split("\n## ")[0]
    for parameter in command.params:
        if isinstance(parameter, typer.core.TyperOption) and parameter.name != "help":
            for flag in parameter.opts:
                if "completion" not in flag:
                    assert f"| `{flag}` |" in section, flag


def test_every_profile() -> None:
    page = (DOCS / "scale.md").read_text("utf-8")
    for name in names():
        assert f"| `{name}` |" in page
