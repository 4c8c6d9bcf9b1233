"""report.html: one file, without scripts and without anything from elsewhere."""

from __future__ import annotations

import re
from html import escape
from importlib.resources import files
from statistics import median
from typing import Any

from . import charts

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Nothing comes from elsewhere, and the browser is told to hold the page to it."""
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


def page(report: dict[str, Any]) -> str:
    """The report of a run, a knee or an MLPerf scenario as HTML."""
    style = (files(__package__) / "page.css").read_text("utf-8")
    title = f"Load test of {report['server']['url']}"
    body = "\n".join(part for part in _parts(report, title) if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _parts(report: dict[str, Any], title: str) -> list[str]:
    runs = report["runs"]
    return [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(_lead(report))}</p>',
        _tiles(report),
        _table(["model", *COLUMNS], [[run["model"], *_cells(run)] for run in runs])
        + '<p class="note">Latencies in milliseconds, from the moment at which a request was to be '
        "sent. A quantile stands only where ten answers or more lie beyond it.</p>",
        '<div class="pair">'
        + _chart("Latency against rate", charts.latency_against_rate(report))
        + _chart("Latency: the tail", charts.distribution(report))
        + "</div>",
        *(
            _chart(
                f"Second by second: {run['model']}", charts.timeline(run, report["objective_ms"])
            )
            for run in runs
            if run["repeat"] == 0
        ),
        '<div class="pair">'
        + _chart("Cost against accuracy", charts.cost_against_accuracy(report))
        + _section("Who answered", _students(report))
        + "</div>",
        _section("What became of requests", _outcomes(runs)),
        _section("Cost and energy", _costs(runs)),
        _section("How it was measured", _facts(report)),
    ]


def _lead(report: dict[str, Any]) -> str:
    traffic = report["traffic"]
    if "mlperf" in report:
        found = report["mlperf"]
        return f"MLPerf scenario {found['scenario']}: the result is {found['verdict']}."
    if "knee" in report:
        knee = report["knee"]
        return (
            f"The highest rate at which 99 % of the requests are answered within "
            f"{report['objective_ms']:g} ms is {knee['rate_per_second']:,.1f} per second; at "
            f"{knee['fails_at_per_second']:,.1f} the {knee['limited_by']} does not keep up."
        )
    count = len(report["runs"])
    rate = "at the trace's own rate"
    if traffic["rate"]:
        shown = traffic["rate"].replace("..", " to ").replace(",", ", then ")
        rate = f"{shown} requests per second"
    return (
        f"{traffic['arrivals'].capitalize()} arrivals, {rate}, for {traffic['seconds']:g} seconds; "
        f"{count} run{'s' if count > 1 else ''}."
    )


def _tiles(report: dict[str, Any]) -> str:
    model = report["runs"][0]["model"]
    runs = [run for run in report["runs"] if run["model"] == model]
    of = f" ({model})" if len(runs) < len(report["runs"]) else ""
    tiles = []
    if "knee" in report:
        tiles.append(("knee, requests /s", f"{report['knee']['rate_per_second']:,.0f}"))
    for title, name in (
        ("in time /s", "in time /s"),
        ("p50, ms", "p50"),
        ("p99, ms", "p99"),
        ("accuracy", "accuracy"),
        ("as reference", "as reference"),
    ):
        place, form = COLUMNS[name]
        values = [value for run in runs if (value := _value(run, place)) is not None]
        if values:
            tiles.append((title + of, form.format(median(values))))
    inner = "".join(
        f"<div><b>{value}</b><span>{escape(name)}</span></div>" for name, value in tiles
    )
    return f'<div class="tiles">{inner}</div>'


def _cells(run: dict[str, Any]) -> list[str]:
    return [_shown(_value(run, place), form) for place, form in COLUMNS.values()]


def _students(report: dict[str, Any]) -> str:
    rows = [
        [run["model"], name, f"{of['share']:.1%}", f"{of['accuracy']:.2%}",
         f"{of['relative_cost']:.1%}"]
        for run in report["runs"]
        if run["repeat"] == 0
        for name, of in run["students"].items()
    ]  # fmt: skip
    if reference := report["reference"]:
        accuracy = f"{reference['accuracy']:.2%}"
        rows.append([f"{reference['model']} (reference)", "", "", accuracy, ""])
    if not rows:
        return ""
    return _table(["model", "student", "share", "accuracy", "cost of the whole model's"], rows)


def _outcomes(runs: list[dict[str, Any]]) -> str:
    rows = [["all well-behaved", run["model"], _counts(run["outcomes"])] for run in runs] + [
        [f"fault: {fault}", run["model"], _counts(outcomes)]
        for run in runs
        for fault, outcomes in run["faults"].items()
    ]
    return _table(["clients", "model", "outcomes"], rows)


def _counts(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{name}: {number:,}" for name, number in outcomes.items())


def _costs(runs: list[dict[str, Any]]) -> str:
    rows = []
    for run in runs:
        cost, energy = run["cost"], run["energy"]
        joules = energy.get("joules_per_1000_requests")
        rows.append(
            [
                run["model"],
                _shown(cost.get("relative"), "{:.1f}"),
                _shown(cost.get("device_seconds"), "{:.3f}"),
                _shown(cost.get("money_device_time"), "{:.6f}"),
                _shown(cost.get("money_machine"), "{:.6f}"),
                f"{joules:.1f}" if joules is not None else "not readable",
            ]
        )
    whys = {run["energy"]["why"] for run in runs if "why" in run["energy"]}
    note = "".join(f'<p class="note">Energy: {escape(why)}.</p>' for why in sorted(whys))
    table = _table(
        ["per 1,000 requests", "texts by the whole model", "device seconds", "money, device time",
         "money, machine", "joules"],
        rows,
    )  # fmt: skip
    return table + note


def _facts(report: dict[str, Any]) -> str:
    hardware, client = report["hardware"], [run["client"] for run in report["runs"]]
    lags = [each["lag_ms"].get("p99", each["lag_ms"]["max"]) for each in client]
    facts = {
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
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f'<table class="facts">{rows}</table>'


def _server(about: dict[str, Any] | None) -> str:
    if about is None:
        return "does not tell"
    keep = ("model_id", "model_sha", "model_dtype", "version")
    return ", ".join(f"{name} {about[name]}" for name in keep if name in about)


def _table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _chart(title: str, svg: str | None) -> str:
    if svg is None:
        return ""
    unique = re.sub(r"\W+", "-", title)  # charts of one page must not share the names of parts
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{unique}-", svg)
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>"


def _section(title: str, inner: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inner}</section>" if inner else ""


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _value(run: dict[str, Any], place: str) -> float | None:
    group, _, name = place.partition(".")
    found = run[group].get(name) if name else run[group]
    return None if found is None else float(found)
