"""The record of one answer: whom it asked, how sure each was, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

import numpy as np
from numpy.typing import NDArray

from .policy import Cascade, Stage


class Limit(StrEnum):
    """Why an answer stands though no student was as sure as the request's policy wants."""

    DEADLINE = "deadline"
    MAX_COST = "max_cost"
    MIN_CONFIDENCE = "min_confidence"


@dataclass(frozen=True)
class Step:
    """One student's answer. confidence: calibrated, 0 to 1. threshold: what it had to reach.

    seconds: its share of device time.
    """

    stage: Stage
    label: int
    confidence: float
    threshold: float
    accepted: bool
    flops: float
    seconds: float


@dataclass
class Decision:
    """A request on its way through a cascade, then its outcome.

    cascade: the policy that answers it. tokens: ids with special tokens. ta_flops: what the TA
    alone would cost on this input. min_confidence: raises the thresholds for this request.
    max_cost: over all stages, relative to the TA. deadline: on `time.perf_counter`'s clock.
    logits: (labels,) float32 of the student asked last, for those who want more than its first
    label. limited_by: why the answer stands though it was not accepted. waited: seconds in the
    queue, over all stages. ran: seconds of the batches that it was in. cached: whether it is an
    earlier answer to the same text, for which nobody was asked now: then all steps, with their path
    and confidences, cost nothing. brownout: the level at which
    the cascade was shortened, 0 if it was not. shadow: whether nobody waits for it: the TA is asked
    what a smaller student has answered already. variants: by experiment, of the request's unit.
    """

    cascade: Cascade
    tokens: list[int]
    ta_flops: float
    min_confidence: float = 0.0
    max_cost: float = inf
    deadline: float = inf
    steps: list[Step] = field(default_factory=list)
    logits: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    limited_by: Limit | None = None
    waited: float = 0.0
    ran: float = 0.0
    brownout: int = 0
    shadow: bool = False
    cached: bool = False
    variants: Mapping[str, str] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        """The stage that is to be asked next."""
        return self.cascade.stages[len(self.steps)]

    @property
    def threshold(self) -> float:
        """The confidence from which the next stage's answer stands; 0 is always."""
        bound = self.stage.threshold
        return max(bound, self.min_confidence) if bound > 0 else 0.0

    @property
    def next_cost(self) -> float:
        """Cost of all stages so far and the next, relative to asking the TA alone."""
        return (self.flops + self.stage.student.flops.of(len(self.tokens))) / self.ta_flops

    def record(
        self,
        label: int,
        confidence: float,
        accepted: bool,
        logits: NDArray[np.float32],
        seconds: float,
    ) -> bool:
        """Note the next stage's answer. Returns whether the request is now answered."""
        stage = self.stage
        flops = stage.student.flops.of(len(self.tokens))
        threshold = self.threshold
        self.steps.append(Step(stage, label, confidence, threshold, accepted, flops, seconds))
        self.logits = logits
        if accepted and confidence < self.min_confidence:
            self.limited_by = Limit.MIN_CONFIDENCE
        return accepted

    @property
    def answered(self) -> bool:
        """Whether the last answer stands: it was accepted, or nothing larger may be asked."""
        return bool(self.steps) and (self.answer.accepted or self.limited_by is not None)

    @property
    def answer(self) -> Step:
        """The last student asked, whose answer stands."""
        return self.steps[-1]

    @property
    def flops(self) -> float:
        """Over all stages."""
        return sum(step.flops for step in self.steps)

    @property
    def seconds(self) -> float:
        """Device seconds over all stages."""
        return sum(step.seconds for step in self.steps)

    @property
    def relative_cost(self) -> float:
        """FLOPs over all stages, relative to asking the TA alone."""
        return self.flops / self.ta_flops
