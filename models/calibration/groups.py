"""Groups of texts, by the values of a column: languages, customers, or whatever each shall be
promised the risk apart.

One vector of thresholds serves them all. It is accepted if H0 "the risk is above α" is rejected
for every group, each at the full level δ: the intersection–union test (Berger 1982,
Technometrics 24). H0 of the vector is "some group has a risk above α". Where it is true, one such
group is there, and the vector passes only if that group's own test errs, with probability at most
δ, whatever the others do. So the largest p-value of the groups is a valid one of the vector, and
there is nothing to correct for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..inputs.data.naming import shortened

MOST_GROUPS = 256
"""Of one promise: each takes hundreds of texts, and more values are of another kind."""


@dataclass(frozen=True)
class TextGroups:
    """Which texts belong together.

    column: whose values the groups are. names: the values, sorted. of: (texts,) int64, the index of
    each text's group.
    """

    column: str
    names: tuple[str, ...]
    of: NDArray[np.int64]

    @classmethod
    def by(cls, column: str, values: Sequence[str]) -> TextGroups:
        """values: one per text. Raises DataError for more than MOST_GROUPS that differ."""
        names = tuple(sorted(set(values)))
        if len(names) > MOST_GROUPS:
            raise DataError(
                f"by: the column {column!r} has {len(names):,} values; "
                f"at most {MOST_GROUPS} can be groups"
            )
        index = {name: i for i, name in enumerate(names)}
        return cls(column, names, np.array([index[value] for value in values], np.int64))

    def select(self, rows: NDArray[np.int64]) -> TextGroups:
        """Some of the texts; the names stay, also those of groups without one."""
        return replace(self, of=self.of[rows])

    @cached_property
    def rows(self) -> list[NDArray[np.int64]]:
        """Of each group, which texts are its own."""
        return [np.flatnonzero(self.of == group) for group in range(len(self.names))]

    @property
    def sizes(self) -> list[int]:
        """How many texts each group has."""
        return [len(rows) for rows in self.rows]


def named(name: str) -> str:
    """A group, as a message has it."""
    return shortened(repr(name))
