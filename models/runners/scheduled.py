"""One step of many cascades: which students a batch asks next, and what follows from the answers.

Numbers and names only: the answers may be computed by another process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..cascade.decisions import Decision
from ..cascade.policy import Cascade
from ..checkpoint.manifest import Manifest
from .base import ForwardBatch, ForwardOutput


def decide(manifest: Manifest, cascade: Cascade, tokens: list[int]) -> Decision:
    """A decision that has not been asked of any student yet."""
    return Decision(cascade, tokens, manifest.ta.flops_by_length[len(tokens)])


@dataclass(frozen=True)
class ScheduledBatch:
    """A batch of decisions, in the order in which its students are asked."""

    decisions: list[Decision]
    forward: ForwardBatch

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
                [d.stage.score.code for d in ordered],
                [d.stage.scope for d in ordered],
            ),
        )

    @property
    def students(self) -> set[str]:
        """The names of the students that are asked."""
        return {name for name, _ in self.forward.runs}

    def failures(self, output: ForwardOutput) -> list[Decision]:
        """Those whose student said what is no number."""
        return [self.decisions[index] for index in not_finite(output)]

    def record(self, output: ForwardOutput) -> list[Decision]:
        """Note what was said; returns the decisions that are not answered yet.

        The time that the batch took is shared among them by FLOPs.
        """
        flops = [d.stage_flops for d in self.decisions]
        share = output.seconds / sum(flops)
        return [
            d
            for d, label, confidence, score, accept, energy, inside, row, cost in zip(
                self.decisions,
                output.labels,
                output.confidences,
                output.scores,
                output.accepts,
                output.energies,
                output.inside,
                output.logits,
                flops,
                strict=True,
            )
            if not d.record(label, confidence, score, accept, row, cost * share, energy, inside)
        ]


def not_finite(output: ForwardOutput) -> list[int]:
    """The sequences whose logits or confidence are not finite: no answer at all."""
    finite = np.isfinite(output.logits).all(axis=-1) & np.isfinite(output.confidences)
    if finite.all():
        return []
    found: list[int] = np.flatnonzero(~finite).tolist()
    return found


def step(
    forward: Callable[[ForwardBatch], ForwardOutput], decisions: Sequence[Decision]
) -> list[Decision]:
    """Ask each decision's next student, all in one batch; return those not yet answered."""
    batch = ScheduledBatch.of(decisions)
    return batch.record(forward(batch.forward))
