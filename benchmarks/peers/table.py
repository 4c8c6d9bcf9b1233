"""A comparison in Markdown, and in short for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from .ratios import CELLS, Cell, Ratio, Spread, measured, ours, ratios, spread

ACCURACY_POINTS = 0.5
"""By which a server's answers may be less or more right than the TA's."""


def markdown(content: dict[str, Any]) -> str:
    """Results, ratios to the best peers, settings, and what must be said besides."""
    parts = [_results(content), _ratios(content), _settings(content)]
    notes = "\n".join(f"- {note}" for note in remarks(content))
    return "\n\n".join(part for part in (*parts, notes) if part)


def summary(content: dict[str, Any]) -> dict[str, Any]:
    """Medians by server, ratios, remarks."""
    keys = [*(cell.key for cell in CELLS), "accuracy", "memory_mib", "ready_seconds"]
    return {
        "medians": {
            name: {key: spread(server, key).median for key in keys}
            for name, server in measured(content).items()
        },
        "ratios": [
            {
                "cell": ratio.target.cell.key,
                "peer": ratio.peer,
                "precision": ratio.target.among,
                **asdict(ratio.of),
                "target": ratio.target.factor,
                "met": ratio.met,
            }
            for ratio in ratios(content)
        ],
        "remarks": list(remarks(content)),
    }


def remarks(content: dict[str, Any]) -> Iterator[str]:
    """What a reader of the table must know."""
    yield "Bold: best of the column, by the median. In brackets: the least and the greatest repeat."
    servers = measured(content)
    for cell in CELLS:
        if servers and not servers[_winner(content, cell)]["ours"]:
            yield f"{cell.title}: {servers[_winner(content, cell)]['title']} is the best."
    ta = content.get("ta_accuracy")
    if ta is None:
        yield "The TA's own accuracy was not measured."
    for server in servers.values():
        points = 100 * (spread(server, "accuracy").median - ta) if ta is not None else 0.0
        if abs(points) > ACCURACY_POINTS:
            yield f"{server['title']}: accuracy is {points:+.2f} points from the TA's {ta:.2%}."
        if any(run["limited_by"] == "client" for run in server["runs"]):
            yield f"{server['title']}: beyond its knee it was the client that could not send more."
    for server in content["servers"].values():
        for error in dict.fromkeys(server["errors"].values()):
            yield f"{server['title']}: not all could be measured: {error}"


def _results(content: dict[str, Any]) -> str:
    servers = measured(content)
    winners = {cell: _winner(content, cell) for cell in CELLS} if servers else {}
    rows = []
    for name, server in servers.items():
        cells = [_cell(cell, spread(server, cell.key), winners[cell] == name) for cell in CELLS]
        rows.append(
            [
                server["title"],
                server["precision"],
                *cells,
                f"{spread(server, 'accuracy').median:.2%}",
                f"{spread(server, 'memory_mib').median:,.0f} MiB",
                f"{spread(server, 'ready_seconds').median:.1f} s",
            ]
        )
    titles = [cell.title for cell in CELLS]
    return _table(["server", "weights", *titles, "accuracy", "memory", "until ready"], rows)


def _ratios(content: dict[str, Any]) -> str:
    us = ours(content)
    if us is None:
        return ""
    rows = [_ratio(content, ratio) for ratio in ratios(content)]
    over = f"{measured(content)[us]['title']} over it"
    return _table(["", "best peer", over, "over repeats", "target", ""], rows)


def _ratio(content: dict[str, Any], ratio: Ratio) -> list[str]:
    target, of = ratio.target, ratio.of
    return [
        target.cell.title,
        f"{content['servers'][ratio.peer]['title']} ({target.among})",
        f"{of.median:.2f}×",
        f"{of.low:.2f} to {of.high:.2f}",
        f"{'≥' if target.cell.higher_is_better else '≤'} {target.factor:g}×",
        "met" if ratio.met else "missed",
    ]


def _settings(content: dict[str, Any]) -> str:
    rows = []
    for server in content["servers"].values():
        versions = ", ".join(f"{name} {version}" for name, version in server["versions"].items())
        rows.append([server["title"], versions, server["settings"], f"`{server['command']}`"])
    return _table(["server", "versions", "settings", "command"], rows)


def _winner(content: dict[str, Any], cell: Cell) -> str:
    medians = {name: spread(server, cell.key).median for name, server in measured(content).items()}
    choose = max if cell.higher_is_better else min
    return choose(medians, key=lambda name: medians[name])


def _cell(cell: Cell, value: Spread, bold: bool) -> str:
    middle, low, high = (f"{v:,.{cell.digits}f}" for v in (value.median, value.low, value.high))
    shown = f"**{middle}{cell.unit}**" if bold else f"{middle}{cell.unit}"
    return shown if low == high else f"{shown} ({low}–{high})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else ""
