"""One step of many cascades: whom a batch of decisions asks next, and what becomes of the answers.

Numbers and names only: who computes the answers may be another process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..checkpoint.manifest import Manifest
from ..runners.base import ForwardBatch, ForwardOutput
from .decisions import Decision
from .policy import Cascade


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
    forward: Callable[[ForwardBatch], ForwardOutput], decisions: Sequence[Decision]
) -> list[Decision]:
    """Ask each decision's next student, all in one batch; return those not yet answered."""
    asked = ScheduledBatch.of(decisions)
    return asked.record(forward(asked.questions))
