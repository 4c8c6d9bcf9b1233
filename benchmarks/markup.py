"""Tables as Markdown has them, where they stand in a page, and the JSON they are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs" / "benchmarks"


def measured(name: str) -> dict[str, Any]:
    """What a benchmark has printed."""
    found: dict[str, Any] = json.loads((MEASURED / f"{name}.json").read_text("utf-8"))
    return found


def percent(share: float, digits: int = 1) -> str:
    """A share of 1, with so many digits after the point."""
    return f"{100 * share:.{digits}f} %"


def table(head: str, rows: list[list[str]]) -> list[str]:
    """Lines of a table. head: the columns' names, as a row writes them."""
    columns = head.split(" | ")
    lines = [line_of(columns), "|" + "---|" * len(columns)]
    return lines + [line_of(row) for row in rows]


def line_of(cells: list[str]) -> str:
    """One row; an empty cell is a single blank."""
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def marks(name: str) -> tuple[str, str]:
    """The comments between which a table stands."""
    return f"<!-- {name} -->", f"<!-- end of {name} -->"


def replaced(text: str, name: str, lines: list[str]) -> str:
    """A page's text with a table in place of what stands between its marks."""
    begin, end = marks(name)
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + "\n" + "\n".join(lines) + "\n" + end + after
