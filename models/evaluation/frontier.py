"""The accuracy-cost frontier: a picture for paper, and a page to look into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .accuracy import Result

INK, SOFT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
STUDENT, CASCADE = "#2f6f9f", "#d1495b"


def draw_png(results: Sequence[Result], path: Path, title: str) -> None:
    """Write the frontier as a PNG: students as dots, cascades as stars, the TA as a line."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ta = next(r for r in results if r.kind == "ta")
    students = [r for r in results if r.kind != "cascade"]
    cascades = [r for r in results if r.kind == "cascade"]
    figure, axes = plt.subplots(figsize=(9, 5.2), dpi=200, layout="constrained")
    axes.axhline(100 * ta.accuracy, color=INK, lw=1, ls=(0, (5, 4)), zorder=1)
    axes.plot(*_points(students), color=STUDENT, lw=1.4, alpha=0.45, zorder=2)
    axes.scatter(*_points(students), s=56, color=STUDENT, zorder=3, label="student alone")
    axes.scatter(
        *_points(cascades), s=250, marker="*", color=CASCADE, ec="white", zorder=4, label="cascade"
    )
    axes.set_xscale("log")
    axes.set_xlim(min(r.relative_flops for r in results) / 2.2, 1.7)
    accuracies = [100 * r.accuracy for r in results]
    spread = max(accuracies) - min(accuracies) or 1.0
    axes.set_ylim(min(accuracies) - 0.12 * spread, max(accuracies) + 0.26 * spread)
    for r in students:
        if r is not ta:
            _label(axes, r, r.name, STUDENT, (9, -12), "left")
    _label(axes, ta, f"TA  {ta.accuracy:.1%}", INK, (0, 9), "center")
    by_cost = sorted(cascades, key=lambda r: r.relative_flops, reverse=True)
    for number, r in enumerate(by_cost):  # neighbours lie close: their labels to either side
        offset, align = ((12, 0), "left") if number % 2 == 0 else ((-12, 0), "right")
        text = f"{r.name}\n{1 / r.relative_flops:.1f}× fewer FLOPs"
        _label(axes, r, text, CASCADE, offset, align)
    axes.set_xlabel("FLOPs per text, relative to the TA alone", color=INK)
    axes.set_ylabel("accuracy, %", color=INK)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.3g}%"))
    axes.set_title(title, loc="left", color=INK, fontsize=13, fontweight="bold", pad=14)
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT, which="both", length=0)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="lower right", frameon=False, labelcolor=INK)
    figure.savefig(path, facecolor="white")
    plt.close(figure)


def _points(results: Sequence[Result]) -> tuple[list[float], list[float]]:
    return [r.relative_flops for r in results], [100 * r.accuracy for r in results]


def _label(
    axes: object, result: Result, text: str, colour: str, offset: tuple[int, int], align: str
) -> None:
    axes.annotate(  # type: ignore[attr-defined]
        text,
        (result.relative_flops, 100 * result.accuracy),
        xytext=offset,
        textcoords="offset points",
        ha=align,
        va="bottom" if offset[1] > 0 else "center",
        fontsize=9.5,
        color=colour,
        linespacing=1.25,
    )


def write_page(results: Sequence[Result], path: Path, title: str) -> None:
    """Write the frontier as an interactive HTML page that needs no network."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for kind, colour, symbol, size in (
        ("student", STUDENT, "circle", 12),
        ("cascade", CASCADE, "star", 18),
        ("ta", INK, "diamond", 13),
    ):
        chosen = [r for r in results if r.kind == kind]
        figure.add_scatter(
            x=[r.relative_flops for r in chosen],
            y=[r.accuracy for r in chosen],
            mode="markers",
            name={"student": "student alone", "ta": "TA"}.get(kind, kind),
            marker={"color": colour, "symbol": symbol, "size": size},
            text=[_hover(r) for r in chosen],
            hovertemplate="%{text}<extra></extra>",
        )
    ta = next(r for r in results if r.kind == "ta")
    figure.add_hline(y=ta.accuracy, line={"color": INK, "dash": "dash", "width": 1})
    figure.update_layout(
        title=title,
        template="plotly_white",
        xaxis={"title": "FLOPs per text, relative to the TA alone", "type": "log",
               "tickformat": ".1~%"},
        yaxis={"title": "accuracy", "tickformat": ".1%"},
        font={"color": INK},
    )  # fmt: skip
    figure.write_html(path, include_plotlyjs=True, full_html=True)


def _hover(r: Result) -> str:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in r.shares.items())
    micro = "" if r.micro_f1 is None else f" of whole sets, micro F1 {r.micro_f1:.2%}"
    lines = [
        f"<b>{r.name}</b>",
        f"accuracy {r.accuracy:.2%}{micro}, macro F1 {r.macro_f1:.2%}",
        f"FLOPs {r.relative_flops:.2%} of the TA's ({1 / r.relative_flops:.1f}× fewer)",
        f"time {r.seconds.median * 1e3:.3f} ms a text ({1 / r.relative_seconds:.1f}× less)",
        f"breakage {r.breakage:.2%}, recovery {r.recovery:.2%}",
        f"answered by {shares}",
    ]
    return "<br>".join(lines)
