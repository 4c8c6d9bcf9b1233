"""How a cell is judged: against what the device can do, and against what ours replaces."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..ceilings import Ceilings
from ..clock import Timed
from ..record import Row

OURS = "ours"


@dataclass(frozen=True)
class Work:
    """The fewest bytes that a call reads and writes, each once, and the operations it needs."""

    moved: int
    operations: int
    dtype: torch.dtype


def judged(timed: Timed, work: Work, ceilings: Ceilings) -> Row:
    """A cell's row: `OURS` against the floor, and against the fastest of the others.

    Where ours could not be timed the row has the rivals' times and no share.
    """
    floor = ceilings.floor(work.moved, work.operations, work.dtype)
    row: Row = {
        "dtype": str(work.dtype).removeprefix("torch."),
        "bytes": work.moved,
        "operations": work.operations,
        **timed.as_json(),
        "floor_seconds": floor,
    }
    if timed.errors:
        row |= {"passed": False, "error": timed.errors, "bound": "being timed"}
    rivals = [name for name in timed.timings if name != OURS]
    if OURS in timed.timings:
        ours = timed.seconds(OURS)
        row["share"] = floor / ours
        if rivals:
            row["rival"] = timed.fastest(*rivals)
            row["speedup"] = timed.seconds(row["rival"]) / ours
    return row
