"""One step of many cascades: what a batch asks of the students, and what becomes of their answers.

Numbers and names only. Who computes the answers may be this process (`models.answerer`) or another
one, so nothing here touches weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cascade.decisions import Decision
from ..cascade.policy import Cascade
from ..checkpoint.manifest import Manifest


@dataclass(frozen=True)
class ForwardBatch:
    """A batch of token id sequences, in runs of the same student.

    runs: a student's name and how many sequences it is asked. temperatures, thresholds: one per
    sequence.
    """

    sequences: list[list[int]]
    runs: list[tuple[str, int]]
    temperatures: list[float]
    thresholds: list[float]


@dataclass(frozen=True)
class ForwardOutput:
    """What the students and the gate say, one entry per sequence.

    logits: (sequences, labels) float32. seconds: that the device took for the batch.
    """

    labels: list[int]
    confidences: list[float]
    accepts: list[bool]
    logits: NDArray[np.float32]
    seconds: float

    @property
    def broken(self) -> list[int]:
        """The sequences whose logits or confidence are not finite: no answer at all."""
        finite = np.isfinite(self.logits).all(axis=-1) & np.isfinite(self.confidences)
        if finite.all():
            return []
        found: list[int] = np.flatnonzero(~finite).tolist()
        return found


def decide(manifest: Manifest, cascade: Cascade, tokens: list[int]) -> Decision:
    """A decision that has not been asked of any student yet."""
    return Decision(cascade, tokens, manifest.ta.flops.of(len(tokens)))


@dataclass(frozen=True)
class ScheduledBatch:
    """A batch of decisions, in the order of its questions."""

    decisions: list[Decision]
    questions: ForwardBatch

    @classmethod
    def of(cls, decisions: Sequence[Decision]) -> ScheduledBatch:
        """Each one's next student, which may be at different stages of different cascades."""
        groups: dict[str, list[Decision]] = {}
        for decision in decisions:
            groups.setdefault(decision.stage.student.name, []).append(decision)
        names = sorted(groups)
        ordered = [decision for name in names for decision in groups[name]]
        return cls(
            ordered,
            ForwardBatch(
                [d.tokens for d in ordered],
                [(name, len(groups[name])) for name in names],
                [d.stage.student.temperature for d in ordered],
                [d.threshold for d in ordered],
            ),
        )

    @property
    def students(self) -> set[str]:
        """Who is asked."""
        return {name for name, _ in self.questions.runs}

    def record(self, verdicts: ForwardOutput) -> list[Decision]:
        """Note what was said; returns the decisions that are not answered yet.

        The time that the batch took is shared among them by FLOPs.
        """
        flops = [d.stage_flops for d in self.decisions]
        share = verdicts.seconds / sum(flops)
        return [
            d
            for d, label, confidence, accept, row, cost in zip(
                self.decisions,
                verdicts.labels,
                verdicts.confidences,
                verdicts.accepts,
                verdicts.logits,
                flops,
                strict=True,
            )
            if not d.record(label, confidence, accept, row, cost * share)
        ]


def step(
    ask: Callable[[ForwardBatch], ForwardOutput], decisions: Sequence[Decision]
) -> list[Decision]:
    """Ask each decision's next student, all in one batch; return those not yet answered."""
    asked = ScheduledBatch.of(decisions)
    return asked.record(ask(asked.questions))
