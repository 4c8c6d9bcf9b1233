"""docs/operating.md names what there is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from nestling.server.errors import STATUS, Reason
from nestling.server.settings import Settings

from .serving import Server

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")


def test_every_setting_with_its_variable_and_default() -> None:
    section = OPERATING.split("## ")[1]
    rows = {row.split("`")[1]: row for row in section.splitlines() if row.startswith("| `--")}
    assert set(rows) == {f"--{field.name.replace('_', '-')}" for field in fields(Settings)}
    for field in fields(Settings):
        row = rows[f"--{field.name.replace('_', '-')}"]
        assert f"`NESTLING_{field.name.upper()}`" in row
        if field.default is not None:
            number = isinstance(field.default, int | float)
            shown = f"{field.default:g}" if number and "." in str(field.default) else field.default
            assert f"| `{shown}` |" in row


def test_every_metric(server: Server) -> None:
    for line in server.client.get("/metrics").text.splitlines():
        if line.startswith("# TYPE nestling_"):
            assert f"`{line.split()[2]}`" in OPERATING


def test_every_error_with_its_status() -> None:
    rows = [row for row in OPERATING.splitlines() if row.startswith("| ")]
    for reason in Reason:
        assert any(
            f"`{reason}`" in row and row.startswith(f"| {STATUS[reason]} ") for row in rows
        ), reason
