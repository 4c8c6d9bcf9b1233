"""The groups of a promise by `--by`, as a table: those nearest to breaking it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models.cascade.policy import Cascade

SHOWN = 5


def show_groups(cascade: Cascade) -> None:
    """The worst few, and how many more there are."""
    from rich.table import Table

    from ..models.calibration.standing import standings
    from .console import wide_console

    guarantee = cascade.guarantee
    if guarantee is None or guarantee.by is None:
        raise RuntimeError("a cascade calibrated by a column has a promise to its groups")
    found = standings(guarantee)
    more = len(found) - SHOWN
    caption = f"{more} more are farther from breaking the promise." if more > 0 else None
    table = Table(title=f"Groups by {guarantee.by}, the worst first", caption=caption)
    won = ("recoveries",) if guarantee.loss == "net" else ()
    for column in ("group", "tested", "losses", *won, "allowed", "observed", "at most"):
        table.add_column(column, justify="left" if column == "group" else "right")
    for each in found[:SHOWN]:
        own = each.evidence
        table.add_row(
            each.name,
            f"{own.examples:,}",
            str(own.losses),
            *([str(own.recovered)] if won else []),
            str(each.allowed),
            f"{own.observed_risk:.2%}",
            f"{each.bound:.2%}",
        )
    wide_console().print(table)
