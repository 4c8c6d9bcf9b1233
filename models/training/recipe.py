"""The numbers of a training run, in one place. `plan.py` finds those that follow from the data."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from ..errors import NestlingError


@dataclass(frozen=True)
class TrainingPhase:
    """A stretch of optimisation: AdamW, linear warm-up, then linear decay to zero.

    batch_size: labelled texts per step, over all processes.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: float = 0.1
    weight_decay: float = 0.01
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Raises NestlingError for a learning rate that is none."""
        if not 0 < self.learning_rate < inf:
            raise NestlingError(
                f"learning-rate: {self.learning_rate:g} is not a finite number above 0"
            )

    def check_processes(self, examples: int, processes: int) -> None:
        """Raises NestlingError where a step has no text for some process."""
        if (batch := min(self.batch_size, examples)) < processes:
            raise NestlingError(
                f"batch-size: a step of {batch} texts cannot be shared by {processes} processes"
            )

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warmup = max(1, round(self.warmup * self.steps))
        fall = (self.steps - step) / (self.steps - warmup + 1)
        return self.learning_rate * min((step + 1) / warmup, fall)


@dataclass(frozen=True)
class Recipe:
    """MatTA (Verma et al. 2025, arXiv 2505.23337) for text classification.

    finetune: how an encoder without a classifier becomes the teacher.
    head_rate: learning rate of its new classifier, relative to the encoder's: a classifier that
    lags behind distorts the encoder (Kumar et al. 2022, arXiv 2202.10054).
    joint: how TA and students are trained together.
    ta_every: the TA trains in each such step; in the others the students learn from the teacher
    alone. The TA's part of a step is the most expensive, and the students need more steps than it.
    pool: texts recombined from the training texts and judged by the teacher.
    across: share of them that are spliced from texts of two labels. The teacher is unsure of those,
    and what students learn from them is where the labels meet.
    pool_batch: such texts that each student sees per step, beside the labelled batch.
    pool_ta: how many of those the TA sees too.
    ta_rate: learning rate of the layers that no student has, relative to the others'.
    temperature: of all soft targets. label_weight: of the labels, beside soft targets at 1.
    ramp: share of the steps over which the TA's soft targets set in.
    relation_weight: of MiniLMv2's relation loss; 0 leaves it out. relation_heads: of that loss, at
    most; as many as divide the student's width and the TA's.
    importance_batches: how many batches the importance order is taken from.
    """

    finetune: TrainingPhase = TrainingPhase(steps=300, batch_size=64, learning_rate=1e-4)
    head_rate: float = 20.0
    joint: TrainingPhase = TrainingPhase(
        steps=900, batch_size=32, learning_rate=5e-4, warmup=0.05, dropout=0.0
    )
    ta_every: int = 2
    smoothing: float = 0.1
    pool: int = 40_000
    across: float = 1 / 3
    pool_batch: int = 96
    pool_ta: int = 16
    ta_rate: float = 0.3
    temperature: float = 2.0
    label_weight: float = 0.2
    ramp: float = 0.05
    relation_weight: float = 0.0
    relation_heads: int = 12
    importance_batches: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises NestlingError for a weight that is none."""
        if not 0 <= self.relation_weight < inf:
            raise NestlingError(
                f"relation-weight: {self.relation_weight:g} is not a finite number from 0"
            )
