"""Charts as SVG for a page: without scripts, and with text as text."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK, FAINT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626", "#0891b2")
GOOD, SHED, FAILED = "#2563eb", "#f59e0b", "#dc2626"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nestling",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}
LEAST_POINTS = 1.0
"""The least range of an accuracy axis, in percentage points."""
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def latency_against_rate(report: dict[str, Any]) -> str | None:
    """A point for each probe of a search, or else for each second of a run; None without points."""
    probes = report.get("knee", {}).get("probes")
    if probes:
        points = {
            name: [
                (p["offered_per_second"], p["latency_ms"][name])
                for p in sorted(probes, key=lambda p: p["offered_per_second"])
                if name in p["latency_ms"]
            ]
            for name in ("p50", "p99")
        }
    else:
        points = {
            name: [
                (sent, ms)
                for run in report["runs"]
                for sent, ms in zip(
                    run["timeline"]["sent"], run["timeline"][f"{name}_ms"], strict=True
                )
                if ms is not None
            ]
            for name in ("p50", "p99")
        }
    if not points["p50"]:
        return None
    with _figure() as (axes, svg):
        for (name, pairs), colour in zip(points.items(), COLOURS, strict=False):
            x, y = [p[0] for p in pairs], [p[1] for p in pairs]
            line = "-" if probes else ""
            size = 5 if probes else 4
            axes.plot(x, y, "o", ls=line, ms=size, color=colour, alpha=0.85, label=name)
        _objective(axes, report["objective_ms"], along="y")
        if probes:
            knee = report["knee"]["rate_per_second"]
            axes.axvline(knee, color=GOOD, ls=":", lw=1.4, label=f"knee: {knee:,.0f}/s")
        axes.set(xlabel="requests sent per second", ylabel="latency, ms", yscale="log")
        _plain(axes.yaxis)
        axes.set_xlim(left=0)
        axes.legend()
        return svg()


def distribution(report: dict[str, Any]) -> str | None:
    """The share of requests that took longer, on a log scale; one line for each run.

    None where nothing was answered.
    """
    if not any(run["distribution"]["ms"] for run in report["runs"]):
        return None
    with _figure() as (axes, svg):
        for model, colour in _coloured(report):
            for number, run in enumerate(r for r in report["runs"] if r["model"] == model):
                found = run["distribution"]
                label = model if number == 0 else None
                axes.plot(found["ms"], found["beyond"], color=colour, alpha=0.8, label=label)
        _objective(axes, report["objective_ms"], along="x")
        axes.set(xlabel="latency, ms", ylabel="share that took longer", xscale="log", yscale="log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
        _plain(axes.xaxis)
        axes.legend()
        return svg()


def timeline(run: dict[str, Any], objective_ms: float) -> str:
    """Second by second: the outcomes, p50 and p99, and the brownout level if there was any."""
    line = run["timeline"]
    seconds = range(len(line["sent"]))
    rows = 3 if any(line["brownout"]) else 2
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(13, 2.2 * rows + 0.6), layout="constrained")
        above, below, *rest = figure.subplots(rows, 1, sharex=True)
        above.stackplot(
            seconds,
            line["answered"],
            line["shed"],
            line["failed"],
            colors=(GOOD, SHED, FAILED),
            labels=("answered", "shed (429)", "failed"),
            alpha=0.85,
            lw=0,
        )
        above.set_ylabel("requests due")
        above.set_ylim(bottom=0)
        above.legend(loc="upper left", ncols=3, bbox_to_anchor=(0, 1.25))
        for name, colour in (("p50_ms", COLOURS[0]), ("p99_ms", COLOURS[1])):
            values = [float("nan") if v is None else v for v in line[name]]
            below.plot(seconds, values, color=colour, label=name.removesuffix("_ms"))
        _objective(below, objective_ms, along="y")
        below.set(ylabel="latency, ms", yscale="log" if any(line["p50_ms"]) else "linear")
        _plain(below.yaxis)
        below.legend(loc="upper left", ncols=3, bbox_to_anchor=(0, 1.25))
        for axes in rest:
            axes.fill_between(seconds, line["brownout"], step="post", color=SHED, alpha=0.6, lw=0)
            axes.set(ylabel="brownout", ylim=(0, max(3, *line["brownout"])))
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        figure.align_ylabels()
        above.xaxis.set_major_locator(MaxNLocator(integer=True))
        (rest[-1] if rest else below).set(xlabel="second", xlim=(0, max(1, len(seconds) - 1)))
        return _svg(figure)


def cost_against_accuracy(report: dict[str, Any]) -> str | None:
    """A point for each run, and one for the reference. None if no cost is reported."""
    points = []
    for model, colour in _coloured(report):
        for run in report["runs"]:
            cost = run["cost"].get("relative_per_text")
            if run["model"] == model and cost is not None and run["accuracy"] is not None:
                points.append((model, colour, cost, run["accuracy"]))
    if not points:
        return None
    with _figure() as (axes, svg):
        named = set()
        for model, colour, cost, accuracy in points:
            label = None if model in named else model
            named.add(model)
            axes.plot(100 * cost, 100 * accuracy, "o", ms=8, color=colour, alpha=0.8, label=label)
        reference = report["reference"]
        if reference and reference["model"] not in named:
            axes.plot(100, 100 * reference["accuracy"], "D", ms=8, color=INK,
                      label=f"{reference['model']} (reference)")  # fmt: skip
        axes.set(
            xlabel="cost of a text, % of the whole model's", ylabel="accuracy, %", xscale="log"
        )
        axes.margins(0.15, 0.25)
        low, high = axes.get_ylim()
        lack = (
            max(0.0, LEAST_POINTS - (high - low)) / 2
        )  # so that noise does not look like a difference
        axes.set_ylim(max(-0.5, low - lack), min(100.5, high + lack))
        _plain(axes.xaxis)
        axes.legend()
        return svg()


def _coloured(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    models = dict.fromkeys(run["model"] for run in report["runs"])
    return ((model, COLOURS[i % len(COLOURS)]) for i, model in enumerate(models))


def _objective(axes: Axes, ms: float, along: str) -> None:
    draw = axes.axhline if along == "y" else axes.axvline
    draw(ms, color=FAINT, ls="--", lw=1.2, label=f"objective: {ms:g} ms")


def _plain(axis: Any) -> None:
    """Label the ticks as plain numbers, and also those at 2 and 5 in between."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else "")
    )
    axis.set_tick_params(which="minor", labelsize=8)


@contextmanager
def _figure() -> Iterator[tuple[Axes, Callable[[], str]]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4), layout="constrained")
        yield figure.subplots(), lambda: _svg(figure)


def _svg(figure: Figure) -> str:
    """The SVG without the header of a file of its own."""
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata=NO_METADATA)
    text = out.getvalue()
    return text[text.index("<svg") :]
