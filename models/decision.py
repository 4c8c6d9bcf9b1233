"""The record of one answer: whom it asked, how sure each was, what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from .cascade import Cascade, Stage


@dataclass(frozen=True)
class Step:
    """One student's answer. confidence: calibrated, 0 to 1. seconds: its share of device time."""

    stage: Stage
    label: int
    confidence: float
    accepted: bool
    flops: float
    seconds: float


@dataclass
class Decision:
    """A request on its way through a cascade, then its outcome.

    cascade: the policy that answers it. tokens: ids with special tokens. ta_flops: what the TA
    alone would cost on this input. logits: (labels,) float32 of the student asked last, for those
    who want more than its first label.
    """

    cascade: Cascade
    tokens: list[int]
    ta_flops: float
    steps: list[Step] = field(default_factory=list)
    logits: Tensor | None = field(default=None, compare=False, repr=False)

    @property
    def stage(self) -> Stage:
        """The stage that is to be asked next."""
        return self.cascade.stages[len(self.steps)]

    def record(
        self, label: int, confidence: float, accepted: bool, logits: Tensor, seconds: float
    ) -> bool:
        """Note the next stage's answer. Returns whether the request is now answered."""
        stage = self.stage
        flops = stage.student.flops.of(len(self.tokens))
        self.steps.append(Step(stage, label, confidence, accepted, flops, seconds))
        self.logits = logits
        return accepted

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
