"""The tables and figures of docs/scale.md.

    python -m benchmarks.capacity.scale --trace twitter_requests_per_second.txt.xz

Plans for rates up to a million per second: on the machine that was measured, and on the GPU that
was only estimated, alone and with several replicas on each. Then draws, and writes the tables into
docs/scale.md in place of those between its marks. --validation: the JSON line that
benchmarks/capacity/plan.py has printed. Prints one JSON line, which is docs/benchmarks/scale.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from ..markup import replaced

DOCS = Path(__file__).parents[2] / "docs"
RATES = (1e3, 1e4, 1e5, 1e6)
OBJECTIVE_MS = 50
PRICES = {"cpu-2-cores": 0.08, "h200": 4.0}
"""Per hour: of two cores, and of a GPU with its host; what such machines cost to rent, about."""
PLANS = (("cpu-2-cores", 1), ("h200", 1), ("h200", 8))
"""Hardware, and replicas per machine."""
INK, SOFT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
TA_COLOUR, CASCADE_COLOUR = "#2f6f9f", "#d1495b"
LABELS = {"p50_ms": "p50, ms", "p99_ms": "p99, ms", "http": "HTTP busy", "worker": "worker busy"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", type=Path, required=True)
    parser.add_argument("--validation", type=Path, default=DOCS / "benchmarks" / "plan.json")
    given = parser.parse_args()
    plans = [planned(hardware, replicas, given.trace) for hardware, replicas in PLANS]
    validation = json.loads(given.validation.read_text("utf-8"))
    draw_cost(plans, DOCS / "scale-cost.png")
    draw_validation(validation, DOCS / "scale-validation.png")
    page = DOCS / "scale.md"
    text = page.read_text("utf-8")
    for name, table in (
        ("validation", validation_table(validation)),
        ("capacity", capacity_table(plans)),
        ("replicas", replicas_table(plans)),
    ):
        text = replaced(text, name, table)
    page.write_text(text, "utf-8")
    print(
        json.dumps(
            {
                "benchmark": "scale",
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": f"python -m benchmarks.capacity.scale --trace {given.trace.name}",
                "prices_per_hour": PRICES,
                "plans": plans,
            }
        )
    )


def planned(hardware: str, replicas: int, trace: Path) -> dict[str, Any]:
    """The last line of `nestling plan`."""
    command = [
        sys.executable, "-m", "nestling.cli", "plan", "--json", "--hardware", hardware,
        "--rate", ",".join(f"{rate:g}" for rate in RATES), "--objective-ms", str(OBJECTIVE_MS),
        "--trace", str(trace), "--price-per-hour", str(PRICES[hardware]),
        "--per-machine", str(replicas),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def title(plan: dict[str, Any]) -> str:
    replicas = plan["wish"]["per_machine"]
    shared = f", {replicas} replicas each" if replicas > 1 else ""
    return f"{plan['hardware']}{shared}" + ("" if plan["measured"] else " (estimated)")


def span(plan: dict[str, Any], model: str, value: Any) -> str:
    """A number, or a range over the guesses of an estimate."""
    values = [value(each) for each in plan["policies"] if each["model"] == model]
    low, high = (
        f"{each:,.0f}" if each >= 1000 else f"{each:.4g}" for each in (min(values), max(values))
    )
    return low if low == high else f"{low} to {high}"


def capacity_table(plans: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| hardware | policy | a replica holds, per second | p99, ms | HTTP busy | device busy "
        "| limit |",
        "|---|---|---|---|---|---|---|",
    ]
    for plan in plans:
        for model in ("ta", "auto"):
            limits = {p["limit"] for p in plan["policies"] if p["model"] == model}
            cells = [
                title(plan),
                model,
                span(plan, model, lambda p: round(p["holds_per_second"])),
                span(plan, model, lambda p: p["p99_ms"]),
                span(plan, model, lambda p: round(100 * p["http"])) + " %",
                span(plan, model, lambda p: round(100 * p["device"])) + " %",
                " or ".join(sorted("HTTP" if each == "http" else each for each in limits)),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def replicas_table(plans: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| requests per second | hardware | replicas: TA alone | cascade | per million: TA alone "
        "| cascade |",
        "|---|---|---|---|---|---|",
    ]
    for number, rate in enumerate(RATES):
        for plan in plans:
            cells = [f"{rate:,.0f}", title(plan)]
            for name in ("replicas", "per_million"):
                for model in ("ta", "auto"):
                    cells.append(span(plan, model, lambda p: p["fleets"][number][name]))  # noqa: B023
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def validation_table(found: dict[str, Any]) -> list[str]:
    lines = ["| load | per second | " + " | ".join(LABELS.values()) + " |", "|---" * 6 + "|"]
    for row in found["loads"]:
        cells = [row["load"], f"{row['rate']:,.0f}"]
        for name in LABELS:
            each = row[name]
            mark = "" if abs(each["error"]) <= found["allowed"] else " **beyond**"
            cells.append(
                f"{each['predicted']:.3g} for {each['measured']:.3g} ({each['error']:+.0%}){mark}"
            )
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", f"{found['within']} of {found['of']} figures are within {found['allowed']:.0%}."]
    return lines


def draw_cost(plans: list[dict[str, Any]], path: Path) -> None:
    """Price of a million requests against the rate; a band where it is a guess."""
    figure, all_axes = plt.subplots(
        1, len(plans), figsize=(12, 4.2), dpi=160, sharey=True, layout="constrained"
    )
    for axes, plan in zip(all_axes, plans, strict=True):
        for model, name, colour in (
            ("ta", "TA alone", TA_COLOUR),
            ("auto", "cascade", CASCADE_COLOUR),
        ):
            curves = [
                [fleet["per_million"] for fleet in p["fleets"]]
                for p in plan["policies"]
                if p["model"] == model
            ]
            low, high = ([f(values) for values in zip(*curves, strict=True)] for f in (min, max))
            axes.fill_between(RATES, low, high, color=colour, alpha=0.25, lw=0)
            middle = [(a * b) ** 0.5 for a, b in zip(low, high, strict=True)]
            axes.plot(RATES, middle, color=colour, marker="o", ms=4, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(title(plan), loc="left", color=INK, fontsize=11, fontweight="bold")
        axes.set_xlabel("requests per second", color=INK)
        tidy(axes)
    all_axes[0].set_ylabel("price of a million requests", color=INK)
    all_axes[0].legend(frameon=False, labelcolor=INK)
    figure.savefig(path, facecolor="white")


def draw_validation(found: dict[str, Any], path: Path) -> None:
    """Predicted against measured, with the band of what is allowed."""
    figure, all_axes = plt.subplots(1, 2, figsize=(10, 4.6), dpi=160, layout="constrained")
    groups = (("latency, ms", ("p50_ms", "p99_ms"), "log"), ("busy", ("http", "worker"), "linear"))
    for axes, (name, figures, scale) in zip(all_axes, groups, strict=True):
        values = [row[f][k] for row in found["loads"] for f in figures
                  for k in ("measured", "predicted")]  # fmt: skip
        ends = [min(values) * 0.8, max(values) * 1.25]
        allowed = found["allowed"]
        axes.plot(ends, ends, color=SOFT, lw=1)
        axes.fill_between(
            ends, [e * (1 - allowed) for e in ends], [e * (1 + allowed) for e in ends],
            color=GRID, lw=0, label=f"within {allowed:.0%}",
        )  # fmt: skip
        for figure_name, colour in zip(figures, (TA_COLOUR, CASCADE_COLOUR), strict=True):
            axes.scatter(
                [row[figure_name]["measured"] for row in found["loads"]],
                [row[figure_name]["predicted"] for row in found["loads"]],
                color=colour, s=32, zorder=3, label=LABELS[figure_name],
            )  # fmt: skip
        axes.set_xscale(scale)
        axes.set_yscale(scale)
        axes.set_xlabel(f"measured: {name}", color=INK)
        axes.set_ylabel("predicted", color=INK)
        axes.legend(frameon=False, labelcolor=INK, loc="upper left")
        tidy(axes)
    figure.savefig(path, facecolor="white")


def tidy(axes: Any) -> None:
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT, which="both", length=0)
    for side in axes.spines.values():
        side.set_visible(False)


if __name__ == "__main__":
    main()
