"""A packed batch: token ids of all sequences end to end, and which student answers which run.

What each layer does with it is integers, worked out and checked once per batch, on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...kernels.layout import Indices, Layout
from ...kernels.upload import upload
from .architecture import Architecture
from .spec import StudentSpec


@dataclass(frozen=True)
class PackedBatch:
    """tokens: (rows,) int64, on the host. layout: lengths, and a group per entry of `students`."""

    tokens: Tensor
    layout: Layout
    students: tuple[StudentSpec, ...]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], student: StudentSpec) -> PackedBatch:
        """All sequences for one student."""
        return cls.mixed([(sequences, student)])

    @classmethod
    def mixed(cls, groups: Sequence[tuple[Sequence[Sequence[int]], StudentSpec]]) -> PackedBatch:
        """Each group's token id sequences and its student.

        Raises ValueError for a sequence without tokens.
        """
        return cls.runs(
            [ids for sequences, _ in groups for ids in sequences],
            [len(sequences) for sequences, _ in groups],
            [student for _, student in groups],
        )

    @classmethod
    def runs(
        cls,
        sequences: Sequence[Sequence[int]],
        counts: Sequence[int],
        students: Sequence[StudentSpec],
    ) -> PackedBatch:
        """All sequences, of which each student has its count, one student after the other.

        Raises ValueError for a sequence without tokens.
        """
        lengths = np.array(list(map(len, sequences)), np.int64)
        flat = np.fromiter(chain.from_iterable(sequences), np.int64, int(lengths.sum()))
        return cls.packed(flat, lengths, counts, students)

    @classmethod
    def packed(
        cls,
        tokens: NDArray[np.int64],
        lengths: NDArray[np.int64],
        counts: Sequence[int],
        students: Sequence[StudentSpec],
    ) -> PackedBatch:
        """The same of token ids that lie end to end: (tokens,), and how many of each sequence."""
        if not lengths.all():
            raise ValueError(f"sequence {lengths.argmin()} has no tokens")
        layout = Layout(tuple(lengths.tolist()), tuple(counts))
        return cls(torch.from_numpy(tokens), layout, tuple(students))  # torch.tensor reads slowly

    def for_student(self, student: StudentSpec) -> PackedBatch:
        """The same sequences, all for another student."""
        layout = Layout(self.layout.lengths, (len(self.layout.lengths),))
        return PackedBatch(self.tokens, layout, (student,))

    def to(self, device: torch.device) -> PackedBatch:
        """This very batch, after one copy of all that a device has to be told of it."""
        self.upload(device)
        return self

    def upload(
        self,
        device: torch.device,
        widths: Sequence[tuple[int, ...]] = (),
        floats: Sequence[NDArray[np.float32]] = (),
    ) -> list[Tensor]:
        """Tell a device all of it, in one copy, unless it lies there. A CPU needs no telling.

        widths: that its operations ask the device for. Returns the floats on the device.
        """
        if device.type == "cpu":
            return [torch.from_numpy(each) for each in floats]
        indices: list[Indices] = []
        if not self.ids.is_on(device):
            layouts = [self.layout, *(step.remaining for step in self.plan if step.kept)]
            indices = [self.ids, self.positions, *(s.kept for s in self.plan if s.kept)]
            for each in layouts:
                indices += [each.bounds, each.rows.indices, each.members.indices]
        return upload(indices, widths, floats, device)

    @cached_property
    def ids(self) -> Indices:
        """The tokens, for a device."""
        return Indices(self.tokens.numpy())

    @cached_property
    def plan(self) -> tuple[LayerStep, ...]:
        """What each layer does with it."""
        return plan(self.layout, self.students)

    @cached_property
    def positions(self) -> Indices:
        """Each token's place in its sequence."""
        starts = np.array(self.layout.starts[:-1], np.int32)
        rows = np.arange(len(self.tokens), dtype=np.int32)
        return Indices(rows - np.repeat(starts, self.layout.lengths))

    def check(self, a: Architecture) -> None:
        """Raises ValueError for what the TA cannot take; no operation looks at it again.

        The students' widths are checked when their views are made.
        """
        if len(self.students) != len(self.layout.groups):
            raise ValueError(
                f"students: {len(self.students)} for {len(self.layout.groups)} groups; one each"
            )
        rows = self.layout.starts[-1]
        if len(self.tokens) != rows:
            raise ValueError(f"tokens: {len(self.tokens)}, but the sequences have {rows}")
        if self.layout.longest > a.max_tokens:
            sequence = self.layout.lengths.index(self.layout.longest)
            raise ValueError(
                f"sequence {sequence}: {self.layout.longest} tokens; the limit is {a.max_tokens}"
            )


@dataclass(frozen=True)
class LayerStep:
    """One layer, of which each group has a part, or none.

    finished: the groups whose last layer this is, so that their rows shrink to the first of each
    sequence. layout: of the rows that come in; remaining: of those that leave; kept: which of the
    former those are, or none if all.
    """

    layer: int
    finished: tuple[bool, ...]
    layout: Layout
    remaining: Layout
    kept: Indices | None


def plan(
    layout: Layout, students: Sequence[StudentSpec], shrink: bool = True
) -> tuple[LayerStep, ...]:
    """The layers that some group has, in order.

    shrink: whether rows shrink to the first tokens at a student's last layer.
    """
    steps = []
    for layer in sorted({layer for student in students for layer in student.layers}):
        finished = tuple(shrink and student.layers[-1] == layer for student in students)
        kept, remaining = layout.keep_first_rows(finished)
        indices = None if remaining is layout else Indices(kept)
        steps.append(LayerStep(layer, finished, layout, remaining, indices))
        layout = remaining
    return tuple(steps)
