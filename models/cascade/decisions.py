"""The record of one answer: whom it asked, how sure each was, what it cost.

A request on its way is columns (`columns.py`); a `Decision` is one text of them, to look at.
"""

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
    """What came of one text: its way through a cascade, and the answer.

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

    What follows from these is kept beside them, since many ask for it. answer: of the last student
    asked, whose answer stands; there is none before the first step. answered: whether it stands: it
    was accepted, or nothing larger may be asked. abstained: whether it stands without its label,
    since the text is out of scope. flops, seconds, relative_cost: over all stages; device seconds;
    FLOPs relative to the TA alone.
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

    answer: Step = field(init=False, compare=False, repr=False)
    answered: bool = field(init=False, compare=False, repr=False)
    abstained: bool = field(init=False, compare=False, repr=False)
    flops: float = field(init=False, compare=False, repr=False)
    seconds: float = field(init=False, compare=False, repr=False)
    relative_cost: float = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.answered = self.abstained = False
        self.flops = sum([step.flops for step in self.steps])
        self.seconds = sum([step.seconds for step in self.steps])
        self.relative_cost = self.flops / self.ta_flops
        if not self.steps:
            return
        self.answer = self.steps[-1]
        asked_all = len(self.steps) == len(self.cascade.stages)
        self.answered = self.answer.accepted or asked_all or self.limited_by is not None
        self.abstained = self.answered and self.cascade.abstains and not self.answer.inside

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


def _may_ask_more(stage: Stage, min_confidence: float) -> bool:
    """Whether there are answers that a stage accepts, and a least confidence does not.

    Other scores say nothing of the confidence: with the same margin any number of labels may be
    close behind the first two.
    """
    if stage.score is Score.PROBABILITY:
        return 0 < stage.threshold < min_confidence
    return stage.threshold > 0 and min_confidence > 0
