"""`nestling loadtest compare`: two reports side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from ...loadtest.results.compare import Ratio


def compare(
    first: Annotated[Path, typer.Argument(help="report.json of the one.")],
    second: Annotated[Path, typer.Argument(help="report.json of the other.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead.", show_default="off")
    ] = False,
) -> None:
    """How many times as much the second report has of the first, with the spread over repeats.

    The ratio is that of the medians. Its spread runs from least over greatest to greatest over
    least of the repeats; a difference is called one only where all of that lies on one side of 1.
    """
    from dataclasses import asdict

    from ...loadtest.results.compare import compare as ratios_of
    from ...loadtest.results.compare import differences, read_report
    from ..console import wide_console

    a, b = read_report(first), read_report(second)
    doubts, found = differences(a, b), ratios_of(a, b)
    if as_json:
        rows = {
            name: [asdict(ratio) | {"verdict": ratio.verdict} for ratio in ratios]
            for name, ratios in found.items()
        }
        typer.echo(json.dumps({"ratios": rows, "spread": "min-max over repeats", "doubts": doubts}))
        return
    console = wide_console()
    for name, ratios in found.items():
        console.print(_table(name, ratios))
    for doubt in doubts:
        console.print(f"Not the same: {doubt}", highlight=False)


def _table(name: str, ratios: list[Ratio]) -> Table:
    from rich.table import Table

    table = Table(title=f"{name}: second against first")
    for column in ("metric", "first", "second", "ratio", "over repeats", ""):
        table.add_column(column, justify="left" if column in ("metric", "") else "right")
    for r in ratios:
        spread = "" if r.low is None else f"{r.low:.3f} to {r.high:.3f}"
        table.add_row(
            r.metric, f"{r.first:.4g}", f"{r.second:.4g}", f"{r.ratio:.3f}×", spread, r.verdict
        )
    return table
