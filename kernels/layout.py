"""Where the rows of a packed batch lie.

A packed batch holds sequences end to end, without padding. Runs of sequences that are
answered by the same student form a group; groups lie one after the other. These are integers, on
the host; only what places them on a device, in `placed`, needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .placed import LayoutTensors


class Indices:
    """Integers that the host knows, and their copy on each device that asked for it."""

    def __init__(self, values: Sequence[int] | NDArray[np.integer]) -> None:
        self.values = values
        self._copies: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device) -> Tensor:
        """(values,) int32, always the same tensor.

        It is a copy of its own, for which the host waits, unless `upload` placed it before.
        """
        if device not in self._copies:
            from .placed import placed_integers

            self._copies[device] = placed_integers(self.values, device)
        return self._copies[device]

    def is_on(self, device: torch.device) -> bool:
        """Whether the device has them already."""
        return device in self._copies

    def place(self, copy: Tensor) -> None:
        """Take this as what `on` gives for its device."""
        self._copies[copy.device] = copy


class Groups(tuple[slice, ...]):
    """Groups of rows, one after the other: each group's rows as a slice.

    offsets: the first row of each group, and the end of the last (groups + 1 numbers, from 0).
    Raises ValueError for offsets that do not start at 0 or are not sorted.
    """

    offsets: tuple[int, ...]
    indices: Indices

    def __new__(cls, offsets: Sequence[int]) -> Groups:
        if not offsets or offsets[0] != 0 or any(b < a for a, b in pairwise(offsets)):
            raise ValueError(f"offsets: {list(offsets)} do not start at 0, or are not sorted")
        groups = super().__new__(cls, (slice(a, b) for a, b in pairwise(offsets)))
        groups.offsets = tuple(offsets)
        groups.indices = Indices(offsets)
        return groups

    def on(self, device: torch.device) -> Tensor:
        """The offsets on a device: (groups + 1,) int32, always the same tensor.

        A captured CUDA graph reads this very tensor: to replay it for groups of other sizes, with
        as many rows in all, copy their offsets into it.
        """
        return self.indices.on(device)


MOST_PADDING = 2
"""By how much padding may multiply rows."""


@dataclass(frozen=True)
class Layout:
    """The shape of a packed batch.

    lengths: rows of each sequence, in the order in which they lie, each at least 1.
    groups: number of sequences in each group; their sum is `len(lengths)`. A group may be empty.
    """

    lengths: tuple[int, ...]
    groups: tuple[int, ...]

    def __post_init__(self) -> None:
        if sum(self.groups) != len(self.lengths):
            raise ValueError(
                f"groups hold {sum(self.groups)} sequences, but lengths names {len(self.lengths)}"
            )

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First row of each sequence, and the number of rows at the end (sequences + 1 numbers)."""
        return tuple(accumulate(self.lengths, initial=0))

    @cached_property
    def bounds(self) -> Indices:
        """The starts, for a device."""
        return Indices(self.starts)

    @cached_property
    def members(self) -> Groups:
        """The sequences of each group, as a slice over sequences."""
        return Groups(tuple(accumulate(self.groups, initial=0)))

    @cached_property
    def rows(self) -> Groups:
        """The rows of each group."""
        return Groups([self.starts[end] for end in self.members.offsets])

    @cached_property
    def parts(self) -> tuple[Layout, ...]:
        """Each group's layout, as a batch of its own."""
        if len(self.groups) == 1:
            return (self,)
        return tuple(Layout(self.lengths[m], (m.stop - m.start,)) for m in self.members)

    def keep_first_rows(self, finished: tuple[bool, ...]) -> tuple[list[int], Layout]:
        """Drop all but the first row of each sequence in the finished groups.

        Returns the rows kept, in order, and the layout of what remains: this very layout if
        nothing is dropped.
        """
        if not any(finished):
            return list(range(self.starts[-1])), self
        kept: list[int] = []
        lengths: list[int] = []
        for members, done in zip(self.members, finished, strict=True):
            for sequence in range(members.start, members.stop):
                start = self.starts[sequence]
                length = 1 if done else self.lengths[sequence]
                kept.extend(range(start, start + length))
                lengths.append(length)
        return kept, Layout(tuple(lengths), self.groups)

    @cached_property
    def longest(self) -> int:
        """Rows of the longest sequence; 0 for an empty batch."""
        return max(self.lengths, default=0)

    @cached_property
    def uniform(self) -> bool:
        """Whether all sequences have the same number of rows."""
        return all(length == self.longest for length in self.lengths)

    @cached_property
    def alike(self) -> tuple[tuple[int, ...], ...]:
        """Sequences that may be padded to the longest of them, by their place: all, where that at
        most doubles the rows; else such that none is padded to more than twice its length.
        """
        if len(self.lengths) * self.longest <= MOST_PADDING * self.starts[-1]:
            return (tuple(range(len(self.lengths))),)
        classes: list[list[int]] = []
        shortest = self.longest + 1
        for sequence in sorted(range(len(self.lengths)), key=self.lengths.__getitem__)[::-1]:
            if self.lengths[sequence] < shortest:
                classes.append([])
                shortest = -(-self.lengths[sequence] // MOST_PADDING)
            classes[-1].append(sequence)
        return tuple(tuple(sorted(each)) for each in classes)

    def split(
        self, classes: tuple[tuple[int, ...], ...]
    ) -> tuple[tuple[SequenceClass, ...], Indices]:
        """Each class of sequences as a batch of its own; and, for each row, where it is once those
        lie end to end.
        """
        if classes not in self._splits:
            order = [
                np.concatenate([np.arange(*self.starts[s : s + 2]) for s in each])
                for each in classes
            ]
            parts = tuple(
                SequenceClass(
                    Layout(tuple(self.lengths[s] for s in each), (len(each),)), Indices(rows)
                )
                for each, rows in zip(classes, order, strict=True)
            )
            self._splits[classes] = parts, Indices(np.argsort(np.concatenate(order)))
        return self._splits[classes]

    @cached_property
    def _splits(
        self,
    ) -> dict[tuple[tuple[int, ...], ...], tuple[tuple[SequenceClass, ...], Indices]]:
        return {}

    def on(self, device: torch.device) -> LayoutTensors:
        """Its tensors on a device, made once each."""
        if device not in self._placed:
            from .placed import LayoutTensors

            self._placed[device] = LayoutTensors(self.lengths, device)
        return self._placed[device]

    @cached_property
    def _placed(self) -> dict[torch.device, LayoutTensors]:
        return {}


class SequenceClass(NamedTuple):
    """Some sequences of a batch. rows: which rows of the batch they have."""

    layout: Layout
    rows: Indices
