"""The record of one answer: whom it asked, how sure each was, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

import numpy as np
from numpy.typing import NDArray

from .policy import Cascade, Stage
from .score import Score

OUT_OF_SCOPE = "out_of_scope"
"""Why an answer has no label; and what it is called where a label is a must."""


class Limit(StrEnum):
    """Why an answer stands though no student was as sure as the request's policy wants."""

    DEADLINE = "deadline"
    MAX_COST = "max_cost"
    MIN_CONFIDENCE = "min_confidence"


@dataclass(frozen=True)
class Step:
    """One student's answer. confidence: calibrated, 0 to 1. score: what was held against the
    threshold, which it had to reach. seconds: its share of device time. energy: what was held
    against the stage's scope. inside: whether it reached that.
    """

    stage: Stage
    label: int
    confidence: float
    score: float
    threshold: float
    accepted: bool
    flops: float
    seconds: float
    energy: float
    inside: bool


@dataclass
class Decision:
    """A request on its way through a cascade, then its outcome.

    cascade: the policy that answers it. tokens: ids with special tokens. ta_flops: what the TA
    alone would cost on this input. min_confidence: that an answer needs besides to be accepted.
    max_cost: over all stages, relative to the TA. deadline: on `time.perf_counter`'s clock.
    logits: (labels,) float32 of the student asked last, for those who want more than its first
    label. limited_by: why the answer stands though it was not accepted. waited: seconds in the
    queue, over all stages. ran: seconds of the batches that it was in. cached: whether it is an
    earlier answer to the same text, for which nobody was asked now: then all steps, with their path
    and confidences, cost nothing. brownout: the level at which
    the cascade was shortened, 0 if it was not. shadow: whether nobody waits for it: the TA is asked
    what a smaller student has answered already. variants: by experiment, of the request's unit.

    What follows from these is kept beside them, since many ask for it. stage: the one that is to be
    asked next, while the request is not answered. threshold: the score from which its answer
    stands; 0 is always. stage_flops: what it costs. answer: of the last student asked, whose answer
    stands. answered: whether it stands: it was accepted, or nothing larger may be asked. abstained:
    whether it stands without its label, since the text is out of scope. flops, seconds,
    relative_cost: over all stages; device seconds; FLOPs relative to the TA alone.
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

    stage: Stage = field(init=False, compare=False, repr=False)
    threshold: float = field(init=False, compare=False, repr=False)
    stage_flops: float = field(init=False, compare=False, repr=False)
    answer: Step = field(init=False, compare=False, repr=False)
    answered: bool = field(init=False, compare=False, repr=False)
    abstained: bool = field(init=False, compare=False, repr=False)
    flops: float = field(init=False, compare=False, repr=False)
    seconds: float = field(init=False, compare=False, repr=False)
    relative_cost: float = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.answered = self.abstained = False
        self.flops = self.seconds = self.relative_cost = 0.0
        for step in self.steps:
            self._add(step)
        if self.limited_by is not None:
            self._end()
        if not self.answered:
            self._ask(self.cascade.stages[len(self.steps)])

    @property
    def next_cost(self) -> float:
        """Cost of all stages so far and the next, relative to asking the TA alone."""
        return (self.flops + self.stage_flops) / self.ta_flops

    @property
    def may_be_cut_by(self) -> Limit | None:
        """Which of the request's limits could have it answered otherwise than its cascade says.

        None if none could. It hangs on what is known before anybody is asked, never on how sure a
        student was or how long it took; so it says nothing about the answer.
        """
        stages, tokens = self.cascade.stages, len(self.tokens)
        if self.deadline < inf:
            return Limit.DEADLINE
        if sum(s.student.flops_by_length[tokens] for s in stages) / self.ta_flops > self.max_cost:
            return Limit.MAX_COST
        if any(_may_ask_more(stage, self.min_confidence) for stage in stages):
            return Limit.MIN_CONFIDENCE
        return None

    @property
    def walked_its_cascade(self) -> bool:
        """Whether stages were asked by their own thresholds, until one was sure enough."""
        ended = self.answer.accepted or len(self.steps) == len(self.cascade.stages)
        return ended and all(s.threshold == s.stage.threshold for s in self.steps)

    def record(
        self,
        label: int,
        confidence: float,
        score: float,
        accepted: bool,
        logits: NDArray[np.float32],
        seconds: float,
        energy: float,
        inside: bool,
    ) -> bool:
        """Note the next stage's answer. Returns whether the request is now answered.

        accepted: what the gate says, which knows threshold and scope alone.
        """
        stage, threshold, flops = self.stage, self.threshold, self.stage_flops
        accepted = accepted and (threshold <= 0 or confidence >= self.min_confidence)
        step = Step(
            stage, label, confidence, score, threshold, accepted, flops, seconds, energy, inside
        )
        self.steps.append(step)
        self._add(step)
        self.logits = logits
        if accepted and confidence < self.min_confidence:
            self.limited_by = Limit.MIN_CONFIDENCE
        if not self.answered:
            self._ask(self.cascade.stages[len(self.steps)])
        return self.answered

    def stop(self, limit: Limit) -> None:
        """Let the last answer stand, though it was not accepted."""
        self.limited_by = limit
        self._end()

    def _end(self) -> None:
        """What was said last stands; where the policy abstains, out of scope it is no label."""
        self.answered = True
        self.abstained = self.cascade.abstains and not self.answer.inside

    def _add(self, step: Step) -> None:
        self.answer = step
        if step.accepted or len(self.steps) == len(self.cascade.stages):
            self._end()
        self.flops += step.flops
        self.seconds += step.seconds
        self.relative_cost = self.flops / self.ta_flops

    def _ask(self, stage: Stage) -> None:
        self.stage, self.stage_flops = stage, stage.student.flops_by_length[len(self.tokens)]
        self.threshold = max(0.0, stage.threshold)
        if stage.threshold > 0 and stage.score is Score.PROBABILITY:
            self.threshold = max(stage.threshold, self.min_confidence)


def _may_ask_more(stage: Stage, min_confidence: float) -> bool:
    """Whether there are answers that a stage accepts, and a least confidence does not.

    Other scores say nothing of the confidence: with the same margin any number of labels may be
    close behind the first two.
    """
    if stage.score is Score.PROBABILITY:
        return 0 < stage.threshold < min_confidence
    return stage.threshold > 0 and min_confidence > 0
