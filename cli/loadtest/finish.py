"""The end of a command: the files, and a table of what they hold; or one line for scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import typer

from ...loadtest.report.page import page
from ...models.checkpoint.integrity import replace_text
from ..console import wide_console

if TYPE_CHECKING:
    from rich.table import Table


def finish(report: dict[str, Any], out: Path, as_json: bool) -> None:
    """Write report.json and report.html, and print what they hold in short.

    Each file is written whole or not at all.
    """
    files = {
        "report.json": orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n",
        "report.html": page(report),
    }
    out.mkdir(exist_ok=True)
    for name, text in files.items():
        replace_text(out / name, text)
    if as_json:
        summary = {"benchmark": "loadtest", "kind": report["kind"], **_summary(report)}
        typer.echo(json.dumps(summary))
        return
    console = wide_console()
    console.print(_table(report))
    if "mlperf" in report:
        console.print(f"MLPerf's verdict: {report['mlperf']['verdict']}", highlight=False)
    if "knee" in report:
        console.print(
            f"The knee is at {report['knee']['rate_per_second']:,.1f} requests per second.",
            highlight=False,
        )
    console.print(f"{out}: report.json, report.html", highlight=False, markup=False)


def _summary(report: dict[str, Any]) -> dict[str, Any]:
    if "mlperf" in report:
        return {"verdict": report["mlperf"]["verdict"]}
    keep = ("model", "goodput_per_second", "latency_ms", "accuracy")
    found = {"runs": [{name: run[name] for name in keep} for run in report["runs"]]}
    if "knee" in report:
        return found | {"knee_per_second": report["knee"]["rate_per_second"]}
    return found


def _table(report: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(
        title=report["server"]["url"],
        caption=f"In time: answered within {report['objective_ms']:g} ms.",
    )
    columns = ("model", "repeat", "offered per second", "in time per second", "p50 ms", "p99 ms",
               "accuracy", "agreement")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right")
    for run in report["runs"]:
        latency = run["latency_ms"]
        table.add_row(
            run["model"],
            str(run["repeat"] + 1),
            f"{run['offered_per_second']:,.1f}",
            f"{run['goodput_per_second']:,.1f}",
            *(f"{latency[p]:.1f}" if p in latency else "" for p in ("p50", "p99")),
            *("" if run[n] is None else f"{run[n]:.2%}" for n in ("accuracy", "agreement")),
        )
    return table
