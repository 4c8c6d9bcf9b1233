"""A packed batch: token ids of all sequences end to end, and which student answers which run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ...kernels import Layout
from .plan import LayerStep, plan
from .spec import StudentSpec


@dataclass(frozen=True)
class PackedBatch:
    """tokens: (rows,) int64. layout: lengths, and one group per entry of `students`."""

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
        lengths = [len(ids) for sequences, _ in groups for ids in sequences]
        if not all(lengths):
            raise ValueError(f"sequence {lengths.index(0)} has no tokens")
        flat = [token for sequences, _ in groups for ids in sequences for token in ids]
        return cls(
            torch.from_numpy(np.array(flat, np.int64)),  # torch.tensor reads a list slowly
            Layout(tuple(lengths), tuple(len(sequences) for sequences, _ in groups)),
            tuple(student for _, student in groups),
        )

    def for_student(self, student: StudentSpec) -> PackedBatch:
        """The same sequences, all for another student."""
        layout = Layout(self.layout.lengths, (len(self.layout.lengths),))
        return PackedBatch(self.tokens, layout, (student,))

    def to(self, device: torch.device) -> PackedBatch:
        """The same on a device; this very batch if it is there already."""
        if self.tokens.device == device:
            return self
        return replace(self, tokens=self.tokens.to(device))

    @cached_property
    def plan(self) -> tuple[LayerStep, ...]:
        """What each layer does with it."""
        return plan(self.layout, self.students)

    @cached_property
    def positions(self) -> Tensor:
        """Each token's place in its sequence: (rows,) int64, where the tokens are."""
        starts = torch.tensor(self.layout.starts[:-1], dtype=torch.int64)
        lengths = torch.tensor(self.layout.lengths, dtype=torch.int64)
        positions = torch.arange(len(self.tokens)) - starts.repeat_interleave(lengths)
        return positions.to(self.tokens.device)


Run = Callable[[PackedBatch], Tensor]
"""A backend: the logits, (sequences, labels), of each sequence by its group's student."""
