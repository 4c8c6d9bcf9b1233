"""What a search found, as a table of the frontier and in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models.search.found import FoundCascade, FoundStudent, SearchResult


def show(result: SearchResult, checkpoint: Path, data: Path) -> None:
    """checkpoint: that has the students now. data: the texts that were searched with."""
    from rich.table import Table

    from .console import wide_console

    timed = result.students[-1].latency is not None
    table = Table(
        title=f"{checkpoint}: students by their place on {result.measured_on:,} texts that chose "
        "nothing",
        caption="Of the TA: FLOPs" + (", and time by the profile. ms: one long text alone." if timed
        else ".") + " Accuracy with its interval at 95 %.",
    )  # fmt: skip
    columns = ("student", "", "layers", "dim", "heads", "ffn", "FLOPs",
               *(("time", "ms") if timed else ()), "accuracy", "interval")  # fmt: skip
    for column in columns:
        left, whole = column in ("student", ""), column not in ("layers", "heads", "ffn")
        table.add_column(column, justify="left" if left else "right", no_wrap=whole)
    for each in result.students:
        table.add_row(*_cells(each, timed))
    console = wide_console()
    console.print(table)
    for line in _sentences(result, checkpoint, data):
        console.print(line, highlight=False, markup=False)


def _cells(each: FoundStudent, timed: bool) -> list[str]:
    spec, (low, high) = each.spec, each.interval
    times = []
    if timed:
        times = [f"{each.cost:.1%}", "" if each.latency is None else f"{1e3 * each.latency:.2f}"]
    return [
        each.name,
        "added" if each.added else "known" if each.known else "",
        " ".join(map(str, spec.layers)),
        str(spec.dim),
        " ".join(map(str, spec.attention_heads)),
        " ".join(map(str, spec.ffn)),
        f"{each.flops:.1%}",
        *times,
        f"{each.accuracy:.1%}",
        f"{low:.1%} to {high:.1%}",
    ]


def _sentences(result: SearchResult, checkpoint: Path, data: Path) -> list[str]:
    timed = result.students[-1].latency is not None
    lines = [
        f"{result.asked:,} students were asked about {result.looked_at:,} texts, until "
        f"{result.ended}.",
        f"Cascade of the students there were: {_cascade(result.before, timed)}.",
    ]
    if not result.added:
        return [*lines, "Nothing that was found is worth adding: the checkpoint is as it was."]
    if result.after != result.before:
        lines.append(f"Cascade with those that were added: {_cascade(result.after, timed)}.")
    return [
        *lines,
        f"{checkpoint}: added {', '.join(result.added)}. Next, on texts that are not in "
        f"{data.name}: nestling calibrate {checkpoint} --data FILE",
    ]


def _cascade(found: FoundCascade, timed: bool) -> str:
    unit = "less time" if timed else "fewer FLOPs"
    return (
        f"{' → '.join(found.stages)}, {1 / found.cost:.1f}× {unit}, loses {found.lost:.2%} "
        "(thresholds uncalibrated)"
    )
