"""What one student says of some texts of a request, in one batch: a list per field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .decisions import Step
from .policy import Stage


@dataclass(slots=True)
class StepColumns:
    """What one student said of some texts of a request, in one batch.

    rows: which of them, ascending; each list has an entry for each, as `Step` has it. logits:
    (rows, labels) float32. seconds_per_flop: of the batch on its device. waited: seconds that they
    had been in the queue for it. ran: seconds that it took.
    """

    stage: Stage
    threshold: float
    rows: Sequence[int]
    labels: list[int]
    confidences: list[float]
    scores: list[float]
    accepts: list[bool]
    energies: list[float]
    inside: list[bool]
    logits: NDArray[np.float32]
    flops: list[float]
    seconds_per_flop: float
    waited: float = 0.0
    ran: float = 0.0

    def only(self, at: int) -> StepColumns:
        """The entry of one text, which is row 0 of what it is put into, and costs nothing."""
        return replace(
            self,
            rows=range(1),
            labels=[self.labels[at]],
            confidences=[self.confidences[at]],
            scores=[self.scores[at]],
            accepts=[self.accepts[at]],
            energies=[self.energies[at]],
            inside=[self.inside[at]],
            logits=self.logits[at : at + 1].copy(),  # a row would keep its batch's alive
            flops=[0.0],
            waited=0.0,
            ran=0.0,
        )

    @property
    def seconds(self) -> list[float]:
        """Of each text, its share of the time on the device."""
        return [flops * self.seconds_per_flop for flops in self.flops]

    def of(self, at: int) -> Step:
        """The entry of one text."""
        return Step(
            self.stage,
            self.labels[at],
            self.confidences[at],
            self.scores[at],
            self.threshold,
            self.accepts[at],
            self.flops[at],
            self.flops[at] * self.seconds_per_flop,
            self.energies[at],
            self.inside[at],
        )
