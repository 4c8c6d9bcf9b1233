"""What `nestling evaluate` has measured, as a table and a few sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models.evaluation.accuracy import Result

MAX_SPREAD = 0.2
"""Of a time, between its quartiles and over its median: beyond, the machine was not at rest."""


def show(results: Sequence[Result], title: str, repeats: int) -> None:
    """A table, and a line for each cascade. repeats: of each measurement of time."""
    from rich.table import Table

    from .console import wide_console

    several = any(r.micro_f1 is not None for r in results)
    whole = "accuracy: of texts, all of whose labels are right; " if several else ""
    table = Table(
        title=title,
        caption=f"{whole}ms/text: median of {repeats} repeats, all policies in turn; spread: what "
        "lies between the quartiles, as a share of it.",
    )
    f1 = ("micro F1", "macro F1") if several else ("macro F1",)
    columns = ("policy", "accuracy", *f1, "ECE", "MFLOPs", "of TA", "ms/text", "spread",
               "of TA", "breakage", "recovery")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "policy" else "right", no_wrap=True)
    for r in results:
        table.add_row(
            r.name,
            f"{r.accuracy:.2%}",
            *(() if r.micro_f1 is None else (f"{r.micro_f1:.2%}",)),
            f"{r.macro_f1:.2%}",
            f"{r.calibration_error:.2%}",
            f"{r.flops / 1e6:.2f}",
            f"{r.relative_flops:.1%}",
            f"{r.seconds.median * 1e3:.3f}",
            f"{r.seconds.spread:.0%}",
            f"{r.relative_seconds:.1%}",
            f"{r.breakage:.2%}",
            f"{r.recovery:.2%}",
            end_section=r.kind == "ta",
        )
    console = wide_console()
    console.print(table)
    for r in results:
        if r.kind == "cascade":
            console.print(_sentence(r), highlight=False)
    if noisy := [r for r in results if r.seconds.spread > MAX_SPREAD]:
        named = ", ".join(f"{r.name} by {r.seconds.spread:.0%}" for r in noisy)
        console.print(
            f"The machine was not at rest: times varied, {named}. They say little; accuracy and "
            "FLOPs do not depend on it.",
            highlight=False,
        )


def _sentence(r: Result) -> str:
    """A cascade in one line."""
    shares = ", ".join(f"{name} {share:.1%}" for name, share in r.shares.items())
    parts = [
        f"{r.name}: {1 / r.relative_flops:.1f}× fewer FLOPs, {1 / r.relative_seconds:.1f}× less "
        f"time; accuracy drop {r.drop:+.2%}; answered by {shares}"
    ]
    if r.loss is not None and r.alpha is not None and r.confidence is not None:
        parts.append(f"observed risk {r.loss:.2%}, promised ≤ {r.alpha:.2%} at {r.confidence:.0%}")
    if r.abstained is not None:
        parts.append(f"no label for {r.abstained:.1%} of the texts that have one")
    if r.out_of_scope is not None:
        parts.append(f"out of scope: {r.out_of_scope:.1%} reach the TA")
    if r.out_of_scope_abstained is not None:
        parts.append(f"{r.out_of_scope_abstained:.1%} get no label")
    return "; ".join(parts)
