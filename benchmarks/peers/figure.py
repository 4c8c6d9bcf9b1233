"""The knee of each server, as one chart of bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from nestling.loadtest.report.charts import INK, NO_METADATA, STYLE

from .ratios import KNEE, measured, spread
from .registry import BF16, FP32, INT8

OURS = "#d1495b"
PEERS = {
    INT8: ("int8", "#2f6f9f"),
    BF16: ("bfloat16", "#5b93b5"),
    FP32: ("float32", "#9db8cc"),
}
WIDTH, ROW, REST = 8.4, 0.42, 1.2
"""Inches: of the figure, of a bar with its gap, of all that is no bar."""


def draw(content: dict[str, Any], path: Path) -> None:
    """Write it as SVG. A bar is the median over repeats; the line on it the least to the greatest.

    content: of a comparison with one server or more.
    """
    servers = sorted(measured(content).values(), key=lambda server: spread(server, KNEE.key).median)
    knees = [spread(server, KNEE.key) for server in servers]
    longest = max(knee.high for knee in knees)
    with mpl.rc_context(STYLE | {"axes.grid": False, "axes.spines.left": False}):
        figure = Figure(figsize=(WIDTH, REST + ROW * len(servers)), layout="constrained")
        axes = figure.subplots()
        axes.barh(
            [server["title"] for server in servers],
            [knee.median for knee in knees],
            height=0.66,
            color=[_colour(server) for server in servers],
            xerr=[
                [knee.median - knee.low for knee in knees],
                [knee.high - knee.median for knee in knees],
            ],
            error_kw={"ecolor": INK, "elinewidth": 1},
        )
        for row, knee in enumerate(knees):
            axes.text(knee.high + 0.012 * longest, row, f"{knee.median:,.0f}", va="center")
        axes.set_xlim(0, 1.1 * longest)
        axes.tick_params(length=0)
        axes.set_xlabel("requests per second, 99 % of them answered within 100 ms")
        cores = content["hardware"]["cores"]
        axes.set_title(
            f"One text per request, {cores} cores for server and client",
            loc="left",
            fontweight="bold",
        )
        shown = {server["precision"] for server in servers if not server["ours"]}
        peers = [PEERS[precision] for precision in PEERS if precision in shown]
        for name, colour in (("Nestling", OURS), *peers):
            axes.barh([0], [0], color=colour, label=name)
        axes.legend(loc="lower right")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata=NO_METADATA, facecolor="white")


def _colour(server: dict[str, Any]) -> str:
    return OURS if server["ours"] else PEERS[server["precision"]][1]
