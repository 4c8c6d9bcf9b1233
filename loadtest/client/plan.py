"""What is sent, and when. Everything random is drawn here, from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..traffic.mix import draw
from .faults import Fault


@dataclass(frozen=True)
class SendPlan:
    """Requests in the order in which they are due.

    due: seconds from the start, float64. protocols: indices into the protocols used. faults:
    indices into `Fault`, -1 for none. sizes: the number of texts of each request. rows: the texts
    of all requests, as rows of the data, those of the first request first.
    """

    due: NDArray[np.float64]
    protocols: NDArray[np.int16]
    faults: NDArray[np.int16]
    sizes: NDArray[np.int32]
    rows: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.due)

    def share(self, part: int, parts: int) -> SendPlan:
        """Every `parts`-th request, for one process of several."""
        firsts = np.cumsum(self.sizes) - self.sizes
        chosen = slice(part, None, parts)
        sizes = self.sizes[chosen]
        rows = [
            self.rows[first : first + size]
            for first, size in zip(firsts[chosen], sizes, strict=True)
        ]
        return SendPlan(
            self.due[chosen],
            self.protocols[chosen],
            self.faults[chosen],
            sizes,
            np.concatenate(rows) if rows else self.rows[:0],
        )


def make_plan(
    due: NDArray[np.float64],
    texts: int,
    protocols: dict[str, float],
    batches: dict[str, float],
    faults: dict[str, float],
    rng: np.random.Generator,
) -> SendPlan:
    """A plan that uses each text equally often, in random order; protocol, size and fault are
    drawn.

    due: seconds, float64, ascending. texts: how many there are. protocols, batches, faults: shares
    by name.
    """
    drawn = draw(batches, len(due), rng)
    sizes = np.array([int(size) for size in batches], np.int32)[drawn]
    total = int(sizes.sum())
    rounds = -(-total // texts)
    order = [rng.permutation(texts) for _ in range(rounds)]
    rows = np.concatenate(order)[:total] if order else np.zeros(0)
    order_of_faults = np.array([*(list(Fault).index(Fault(name)) for name in faults), -1], np.int16)
    return SendPlan(
        due,
        draw(protocols, len(due), rng),
        order_of_faults[draw(faults, len(due), rng)],
        sizes,
        rows.astype(np.int32),
    )
