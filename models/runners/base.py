"""What a runner is: a batch of tokens in, labels and confidences out, by one library or another.

Nothing here touches weights, so that a process without any can import it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
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


Rule = tuple[float, float, float, float]
Integers = NDArray[np.int64]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ForwardBatch:
    """A batch of token id sequences, in runs of the same student.

    tokens: (tokens,), all sequences end to end. lengths: (sequences,). runs: a student's name and
    how many sequences it is asked. The rest are (sequences,). temperatures: by which logits are
    divided. thresholds: of the scores. by: what each threshold is of, by the gate's codes. scopes:
    the energy from which each sequence is inside; 0 for none.
    """

    tokens: Integers
    lengths: Integers
    runs: list[tuple[str, int]]
    temperatures: Floats
    thresholds: Floats
    by: Floats
    scopes: Floats

    @classmethod
    def of(cls, sequences: Sequence[list[int]], stage: Stage) -> ForwardBatch:
        """All sequences for one stage of a cascade."""
        rule = (stage.student.temperature, stage.threshold, stage.score.code, stage.scope)
        return cls.ruled(sequences, [(stage.student.name, len(sequences))], [rule] * len(sequences))

    @classmethod
    def ruled(
        cls,
        sequences: Sequence[list[int]],
        runs: list[tuple[str, int]],
        rules: Sequence[Rule],
    ) -> ForwardBatch:
        """rules: of each sequence, temperature, threshold, what that is of, and scope."""
        lengths = np.array(list(map(len, sequences)), np.int64)
        tokens = np.fromiter(chain.from_iterable(sequences), np.int64, int(lengths.sum()))
        return cls(tokens, lengths, runs, *np.array(rules, np.float32).reshape(-1, 4).T.copy())

    @property
    def of_rows(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Temperatures, thresholds, what these are of, and scopes, as the gate takes them."""
        return self.temperatures, self.thresholds, self.by, self.scopes

    @property
    def sequences(self) -> list[list[int]]:
        """The token ids of each, for whoever looks at one; a runner needs them end to end."""
        parts = np.split(self.tokens, np.cumsum(self.lengths)[:-1])
        return [part.tolist() for part in parts[: len(self.lengths)]]


@dataclass(frozen=True)
class ForwardOutput:
    """What the students and the gate say: (sequences,) each, but for the last two.

    scores: what was held against the thresholds. energies: what was held against the scopes.
    inside: whether they reached them. logits: (sequences, labels) float32. seconds: that the device
    took for the batch.
    """

    labels: Integers
    confidences: Floats
    scores: Floats
    accepts: Flags
    energies: Floats
    inside: Flags
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
