"""The end of a command: the files, and one line for scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import typer

from ..report.page import page


def finish(report: dict[str, Any], out: Path) -> None:
    """Write report.json and report.html, and print what they hold in short."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    (out / "report.html").write_text(page(report), "utf-8")
    typer.echo(f"{out}: report.json, report.html")
    typer.echo(json.dumps({"benchmark": "loadtest", "kind": report["kind"], **_summary(report)}))


def _summary(report: dict[str, Any]) -> dict[str, Any]:
    if "mlperf" in report:
        return {"verdict": report["mlperf"]["verdict"]}
    keep = ("model", "goodput_per_second", "latency_ms", "accuracy")
    found = {"runs": [{name: run[name] for name in keep} for run in report["runs"]]}
    if "knee" in report:
        return found | {"knee_per_second": report["knee"]["rate_per_second"]}
    return found
