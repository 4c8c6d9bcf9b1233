"""What a student costs that nobody has timed: FLOPs, or seconds by a model of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..latency.model import LatencyModel
from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec

USUAL = 0.95
"""Of the texts are at most as long as the one whose latency is told."""


@dataclass
class StudentCosts:
    """Of students of one TA on certain texts.

    lengths: tokens of each text. model: of the machine, whose seconds count; None counts FLOPs.
    """

    architecture: Architecture
    lengths: Sequence[int]
    model: LatencyModel | None = None
    _ta: float = field(init=False)

    def __post_init__(self) -> None:
        self._ta = self._total(StudentSpec.full(self.architecture))

    def share(self, spec: StudentSpec) -> float:
        """Of the TA's cost on all texts together: seconds of full batches, or FLOPs."""
        return self._total(spec) / self._ta

    def flops_share(self, spec: StudentSpec) -> float:
        """Of the TA's FLOPs."""
        full = StudentSpec.full(self.architecture).flops(self.architecture).total(self.lengths)
        return spec.flops(self.architecture).total(self.lengths) / full

    def latency(self, spec: StudentSpec) -> float | None:
        """Seconds of one text alone, as long as 95 % of them at most; None without a model."""
        if self.model is None:
            return None
        longest = int(np.quantile(self.lengths, USUAL, method="higher"))
        return self.model.seconds(spec, 1, longest)

    def per_text(self, spec: StudentSpec) -> list[float]:
        """Of each text, in FLOPs or seconds."""
        if self.model is None:
            flops = spec.flops(self.architecture)
            return [flops.of(n) for n in self.lengths]
        return self.model.per_text(spec, self.lengths)

    def _total(self, spec: StudentSpec) -> float:
        return sum(self.per_text(spec))
