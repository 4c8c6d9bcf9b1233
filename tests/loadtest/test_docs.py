"""docs/loadtest.md names every option and every protocol."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main

from nestling.cli.loadtest import loadtest
from nestling.loadtest.client.faults import Fault
from nestling.loadtest.client.protocols import PROTOCOLS

DOCS = (Path(__file__).parents[2] / "docs" / "loadtest.md").read_text("utf-8")


@pytest.mark.parametrize("command", typer.main.get_group(loadtest).commands.values())
def test_every_option(command: typer.core.TyperCommand) -> None:
    for parameter in command.params:
        if isinstance(parameter, typer.core.TyperOption):
            for flag in parameter.opts:
                assert f"`{flag}" in DOCS, flag


def test_every_protocol_and_fault() -> None:
    for name in (*PROTOCOLS, *(fault.value for fault in Fault)):
        assert f"`{name}" in DOCS or f"{name}=" in DOCS
