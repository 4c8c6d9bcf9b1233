"""docs/operating.md names every setting and error there is, docs/monitoring.md every metric."""

from __future__ import annotations

from pathlib import Path

from nestling.server.errors import Reason
from nestling.server.option import Option, options_of
from nestling.server.settings import Settings

from .serving import Server

DOCS = Path(__file__).parents[2] / "docs"
OPERATING = (DOCS / "operating.md").read_text("utf-8")
MONITORING = (DOCS / "monitoring.md").read_text("utf-8")


def test_every_setting_with_its_variable_default_and_meaning() -> None:
    section = OPERATING.split("## ")[1]
    rows = [row.split(" | ") for row in section.splitlines() if row.startswith("| `--")]
    expected = []
    for option in options_of(Settings):
        default = option.default
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        cell = "none" if default is None else f"`{shown}`"
        expected.append([f"| `{option.flag}`", f"`{option.variable}`", cell, meaning(option)])
    assert [row[:3] for row in rows] == [row[:3] for row in expected]
    assert [plain(row[3]) for row in rows] == [plain(row[3]) for row in expected]


def meaning(option: Option) -> str:
    """The help, and the choices where there are any."""
    return f"{option.help[:-1]}: {', '.join(option.choices)}." if option.choices else option.help


def plain(meaning: str) -> str:
    """Without marks, and without what makes it a sentence."""
    return meaning.replace("`", "").rstrip(" |.").lower()


def test_every_metric(server: Server) -> None:
    for line in server.client.get("/metrics").text.splitlines():
        if line.startswith("# TYPE nestling_"):
            assert f"`{line.split()[2]}`" in MONITORING


def test_every_error_with_its_status() -> None:
    rows = [row for row in OPERATING.splitlines() if row.startswith("| ")]
    for reason in Reason:
        assert any(
            f"`{reason}`" in row and row.startswith(f"| {reason.status} ") for row in rows
        ), reason
