"""What a runner is: a batch of tokens in, labels and confidences out, by one library or another.

Nothing here touches weights, so that a process without any can import it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from ..cascade.policy import Stage
    from ..checkpoint.manifest import Manifest
    from ..nested.batch import PackedBatch
    from ..precision import Precision
    from ..progress import Progress


Column = NDArray[np.float32]


@dataclass(frozen=True)
class ForwardBatch:
    """A batch of token id sequences, in runs of the same student.

    runs: a student's name and how many sequences it is asked. temperatures, thresholds: one per
    sequence. by: what each threshold is of, by the gate's codes. scopes: the energy from which each
    sequence is inside; 0 for none.
    """

    sequences: list[list[int]]
    runs: list[tuple[str, int]]
    temperatures: list[float]
    thresholds: list[float]
    by: list[float]
    scopes: list[float]

    @classmethod
    def of(cls, sequences: Sequence[list[int]], stage: Stage) -> ForwardBatch:
        """All sequences for one stage of a cascade."""
        count = len(sequences)
        return cls(
            list(sequences),
            [(stage.student.name, count)],
            [stage.student.temperature] * count,
            [stage.threshold] * count,
            [stage.score.code] * count,
            [stage.scope] * count,
        )

    @property
    def of_rows(self) -> tuple[Column, Column, Column, Column]:
        """Temperatures, thresholds, what these are of, and scopes, as the gate takes them."""
        return (  # torch.tensor is slower
            np.array(self.temperatures, np.float32),
            np.array(self.thresholds, np.float32),
            np.array(self.by, np.float32),
            np.array(self.scopes, np.float32),
        )


@dataclass(frozen=True)
class ForwardOutput:
    """What the students and the gate say, one entry per sequence.

    scores: what was held against the thresholds. energies: what was held against the scopes.
    inside: whether they reached them. logits: (sequences, labels) float32. seconds: that the device
    took for the batch.
    """

    labels: list[int]
    confidences: list[float]
    scores: list[float]
    accepts: list[bool]
    energies: list[float]
    inside: list[bool]
    logits: NDArray[np.float32]
    seconds: float


class ModelRunner(ABC):
    """All students of one loaded checkpoint, on one device.

    manifest: what it serves, with the calibration of its own logits. device: where the weights lie,
    such as `cpu` or `cuda:0`. precision: in which it computes.
    """

    manifest: Manifest
    device: str
    precision: Precision

    @abstractmethod
    def forward(self, batch: ForwardBatch) -> ForwardOutput:
        """The logits of each sequence by its student, and the gate's decision on them.

        Raises ValueError for a sequence without tokens, MemoryError where a smaller batch may do.
        """

    @abstractmethod
    def embed(
        self, sequences: Sequence[list[int]], student: str, dimensions: int
    ) -> NDArray[np.float32]:
        """The leading `dimensions` of each pooled hidden state, of length 1.

        Returns (sequences, dimensions).
        """

    @abstractmethod
    def logits(self, batch: PackedBatch) -> Tensor:
        """Logits of each sequence by its group's student: (sequences, labels)."""

    def warm_up(self, max_tokens: int, progress: Progress) -> None:  # noqa: B027
        """Compile what batches of up to `max_tokens` tokens will need, so that no request waits for
        a compiler.
        """
