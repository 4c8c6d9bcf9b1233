"""Where the rows of a packed batch lie.

A packed batch holds sequences end to end, without padding. Runs of sequences that are
answered by the same student form a group; groups lie one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise

import torch
from torch import Tensor


class Indices:
    """Integers that the host knows, and their copy on each device that asked for it."""

    def __init__(self, values: Sequence[int], dtype: torch.dtype = torch.int64) -> None:
        self.values = tuple(values)
        self._dtype = dtype
        self._copies: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device) -> Tensor:
        """(values,) of the dtype, made once and always the same tensor."""
        if device not in self._copies:
            self._copies[device] = torch.tensor(self.values, dtype=self._dtype, device=device)
        return self._copies[device]


class Groups(tuple[slice, ...]):
    """Groups of rows, one after the other: each group's rows as a slice.

    offsets: the first row of each group, and the end of the last (groups + 1 numbers, from 0).
    Raises ValueError for offsets that do not start at 0 or are not sorted.
    """

    offsets: tuple[int, ...]
    _indices: Indices

    def __new__(cls, offsets: Sequence[int]) -> Groups:
        if not offsets or offsets[0] != 0 or any(b < a for a, b in pairwise(offsets)):
            raise ValueError(f"offsets: {list(offsets)} do not start at 0, or are not sorted")
        groups = super().__new__(cls, (slice(a, b) for a, b in pairwise(offsets)))
        groups.offsets = tuple(offsets)
        groups._indices = Indices(offsets, torch.int32)
        return groups

    def on(self, device: torch.device) -> Tensor:
        """The offsets on a device: (groups + 1,) int32, always the same tensor.

        A captured CUDA graph reads this very tensor: to replay it for groups of other sizes, with
        as many rows in all, copy their offsets into it.
        """
        return self._indices.on(device)


@lru_cache(maxsize=4096)
def on_device(widths: tuple[int, ...], device: torch.device) -> Tensor:
    """Each group's width on a device: (groups,) int32, made once per choice of widths."""
    return torch.tensor(widths, dtype=torch.int32, device=device)


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
    def members(self) -> tuple[slice, ...]:
        """The sequences of each group, as a slice over sequences."""
        ends = tuple(accumulate(self.groups, initial=0))
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @cached_property
    def rows(self) -> Groups:
        """The rows of each group."""
        ends = accumulate(self.groups, initial=0)
        return Groups([self.starts[end] for end in ends])

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

    def on(self, device: torch.device) -> LayoutTensors:
        """Its tensors on a device, made once each."""
        if device not in self._placed:
            self._placed[device] = LayoutTensors(self, device)
        return self._placed[device]

    @cached_property
    def _placed(self) -> dict[torch.device, LayoutTensors]:
        return {}


class LayoutTensors:
    """What a device has to know of a layout. Each tensor is made when it is first asked for."""

    def __init__(self, layout: Layout, device: torch.device) -> None:
        self._layout, self._device = layout, device

    @cached_property
    def starts(self) -> Tensor:
        """First row of each sequence, and the end: (sequences + 1,) int32."""
        return torch.tensor(self._layout.starts, dtype=torch.int32, device=self._device)

    @cached_property
    def padded_mask(self) -> Tensor:
        """True where a padded (sequences, longest) grid holds a row: bool."""
        return self._mask.to(self._device)

    @cached_property
    def padded_positions(self) -> Tensor:
        """Where each row lies once every sequence is padded to the longest: (rows,) int64."""
        return self._mask.flatten().nonzero().flatten().to(self._device)

    @cached_property
    def padded_rows(self) -> Tensor:
        """Which row stands where once every sequence is padded to the longest: (sequences ·
        longest,) int64. The padding repeats the sequence's own first row.
        """
        starts = torch.tensor(self._layout.starts[:-1], dtype=torch.int64)[:, None]
        places = torch.arange(self._layout.longest) * self._mask
        return (starts + places).flatten().to(self._device)

    @cached_property
    def _mask(self) -> Tensor:
        lengths = torch.tensor(self._layout.lengths, dtype=torch.int64)
        return torch.arange(self._layout.longest) < lengths[:, None]
