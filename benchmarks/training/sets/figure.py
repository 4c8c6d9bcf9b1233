"""Draws docs/datasets.svg from datasets.json.

    python -m benchmarks.training.sets.figure

Left, by set: FLOPs saved by the cascades that may lose 0.5, 1 and 2 % and, as open marks, by the
oracle of the same risk. Right: what the 1 % cascade lost on test, with its interval, and what was
promised. Prints where it was written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from nestling.loadtest.report.charts import COLOURS, INK, NO_METADATA, STYLE

from ...markup import ROOT
from .passes import ALPHAS
from .tables import trained_rows

OUT = ROOT / "docs" / "datasets.svg"
WIDTH, ROW, REST = 9.2, 0.36, 1.5
"""Inches: of the figure, of a set, of all that is no set."""
SHOWN = 0.01
"""The promise of the right half."""
TICKS = (1, 2, 4, 8, 16, 32, 64, 128)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Write it as SVG. rows: of sets whose students are trained, one or more."""
    rows = sorted(rows, key=lambda row: float(row["now"]["cascades"][f"{SHOWN:g}"]["times_fewer"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, REST + ROW * len(rows)), layout="constrained")
        saved, lost = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        _saved(saved, rows)
        _lost(lost, rows)
        figure.savefig(path, format="svg", metadata=NO_METADATA, facecolor="white")


def _saved(axes: Axes, rows: list[dict[str, Any]]) -> None:
    places = range(len(rows))
    for alpha, colour in zip(ALPHAS, COLOURS, strict=False):
        found = [row["now"]["cascades"][f"{alpha:g}"] for row in rows]
        label = f"at most {100 * alpha:g} % lost"
        axes.plot([each["times_fewer"] for each in found], places, "o", color=colour, label=label)
        best = [each["oracle_of_all"]["times_fewer"] for each in found]
        axes.plot(best, places, "o", color=colour, fillstyle="none", zorder=1)
    axes.plot([], [], "o", color=INK, fillstyle="none", label="oracle of all texts")
    axes.set_xscale("log", base=2)
    axes.set_xticks(TICKS)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda times, _: f"{times:g}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(places, [row["set"] for row in rows])
    axes.set_xlabel("fewer FLOPs than the TA alone")
    axes.legend(loc="lower right", fontsize=9)


def _lost(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for place, row in enumerate(rows):
        found = row["now"]["cascades"][f"{SHOWN:g}"]
        low, high = (100 * end for end in found["interval"])
        axes.plot([low, high], [place, place], color=COLOURS[1])
        axes.plot([100 * found["lost"]], [place], "o", color=COLOURS[1])
    axes.axvline(100 * SHOWN, color=INK, linestyle="--", linewidth=1)
    axes.set_xlabel(f"points lost on test, promised {100 * SHOWN:g}; 95 %")


def main() -> None:
    if rows := trained_rows():
        draw(rows, OUT)
        print(OUT.relative_to(ROOT))
    else:
        print("datasets.json: no set is trained yet, nothing is drawn")


if __name__ == "__main__":
    main()
