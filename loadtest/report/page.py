"""report.html: one file, without scripts and without anything from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader, Undefined
from markupsafe import Markup

from ..results.summary import value_at
from . import charts

COLUMNS = {
    "sent /s": ("offered_per_second", "{:,.1f}"),
    "answered /s": ("throughput_per_second", "{:,.1f}"),
    "in time /s": ("goodput_per_second", "{:,.1f}"),
    "in time": ("within_objective_share", "{:.2%}"),
    "p50": ("latency_ms.p50", "{:.1f}"),
    "p95": ("latency_ms.p95", "{:.1f}"),
    "p99": ("latency_ms.p99", "{:.1f}"),
    "p99.9": ("latency_ms.p99.9", "{:.1f}"),
    "p99.99": ("latency_ms.p99.99", "{:.1f}"),
    "max": ("latency_ms.max", "{:.1f}"),
    "accuracy": ("accuracy", "{:.2%}"),
    "as reference": ("agreement", "{:.2%}"),
}
"""Of the table of runs: where the number stands in a run, and how it is shown."""
TILES = {
    "in time /s": "in time /s",
    "p50, ms": "p50",
    "p99, ms": "p99",
    "accuracy": "accuracy",
    "as reference": "as reference",
}
"""Medians at the head of the page, each of a column."""


def page(report: dict[str, Any]) -> str:
    """The report of a run, a knee or an MLPerf scenario as HTML."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=ChainableUndefined,  # what a report does not have is shown as nothing
        keep_trailing_newline=True,
    )
    environment.filters |= {"shown": _shown, "number": value_at, "svg_of": _svg_of}
    return environment.get_template("page.html").render(
        report=report,
        runs=report["runs"],
        traffic=report["traffic"],
        columns=COLUMNS,
        tiles=_tiles(report),
        facts=_facts(report),
        charts=charts,
    )


def _tiles(report: dict[str, Any]) -> list[tuple[str, str]]:
    model = report["runs"][0]["model"]
    runs = [run for run in report["runs"] if run["model"] == model]
    of = f" ({model})" if len(runs) < len(report["runs"]) else ""
    tiles = []
    if "knee" in report:
        tiles.append(("knee, requests /s", f"{report['knee']['rate_per_second']:,.0f}"))
    for title, column in TILES.items():
        place, form = COLUMNS[column]
        values = [value for run in runs if (value := value_at(run, place)) is not None]
        if values:
            tiles.append((title + of, form.format(median(values))))
    return tiles


def _facts(report: dict[str, Any]) -> dict[str, object]:
    hardware, client = report["hardware"], [run["client"] for run in report["runs"]]
    lags = [each["lag_ms"].get("p99", each["lag_ms"]["max"]) for each in client]
    return {
        "command": report["command"],
        "date": report["date"],
        "client's machine": f"{hardware['cpu']}, {hardware['cores']} cores, "
        f"{hardware['memory_gib']:g} GiB, {hardware['system']}; load {report['load_average']}",
        "versions": ", ".join(f"{name} {v}" for name, v in report["versions"].items()),
        "server": _server(report["server"]["about"]),
        "data": f"{report['data']['file']}, {report['data']['texts']:,} texts, sha256 "
        f"{report['data']['sha256']}",
        "seed": report["seed"],
        "traffic": ", ".join(f"{name} {value}" for name, value in report["traffic"].items()),
        "client late by": f"{max(lags):.2f} ms (p99 of the worst run; of fewer than 1,000 "
        "requests the greatest)",
        "client's CPU": f"{median(each['cpu_us_per_request'] for each in client):.0f} µs per "
        "request",
    }


def _server(about: dict[str, Any] | None) -> str:
    if about is None:
        return "does not tell"
    keep = ("model_id", "model_sha", "model_dtype", "version")
    return ", ".join(f"{name} {about[name]}" for name in keep if name in about)


def _svg_of(svg: str, title: str) -> Markup:
    """A chart as it may stand in a page beside others: no two may share the names of parts."""
    unique = re.sub(r"\W+", "-", title)
    return Markup(re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{unique}-", svg))


def _shown(value: float | Undefined | None, form: str) -> str:
    return "" if value is None or isinstance(value, Undefined) else form.format(value)
