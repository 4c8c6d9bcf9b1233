"""Asking a student that may never have been asked before, first a part of the texts, then all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..calibration.evidence import Evidence, rounded
from ..calibration.path import estimated_risk
from ..checkpoint.load import Checkpoint
from ..evaluation.by_length import by_length
from ..evaluation.predictions import MAX_BATCH_TOKENS
from ..heads import task_of
from ..nested.batch import PackedBatch
from ..nested.spec import StudentSpec
from ..runners.torch import TorchRunner

Booleans = NDArray[np.bool_]
Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class Trial:
    """What a student answered on the first texts, however many it was asked.

    cost: of a text, as a share of the TA's. right: (texts,). score: (texts,) float32, the margin
    between its two highest probabilities. kept: the share of texts that it could answer before the
    TA does, at the risk that is tolerated.
    """

    spec: StudentSpec
    cost: float
    right: Booleans
    score: Floats32
    kept: float

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())


@dataclass(frozen=True)
class TextPart:
    """Texts in batches of alike lengths. batches: rows of the part, and these packed."""

    texts: int
    batches: list[tuple[list[int], PackedBatch]]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], spec: StudentSpec) -> TextPart:
        """sequences: token ids of each text. spec: any student's, to pack the batches for."""
        rows_of_batches = by_length(list(map(len, sequences)), MAX_BATCH_TOKENS)
        return cls(
            len(sequences),
            [
                (rows, PackedBatch.of([sequences[r] for r in rows], spec))
                for rows in rows_of_batches
            ],
        )


class Trials:
    """Asks students in two rungs: the first texts, which are few, and the rest.

    sequences: token ids of each text, in an order left to chance. truth: (texts,) int64. first: how
    many texts the first rung has. tolerated: the share of texts that may be lost by what a student
    answers before the TA does.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        sequences: Sequence[Sequence[int]],
        truth: Tensor,
        first: int,
        tolerated: float,
    ) -> None:
        self._runner = TorchRunner(checkpoint)
        self._task = task_of(checkpoint.architecture.head())
        self._truth, self._first, self._tolerated = truth, first, tolerated
        ta = checkpoint.ta.spec
        self._rungs = [TextPart.of(part, ta) for part in (sequences[:first], sequences[first:])]
        self.asked = 0
        right, score = self._answers(ta, self._rungs, 0)
        self.ta = Trial(ta, 1.0, right, score, 1.0)

    def first(self, spec: StudentSpec, cost: float) -> Trial:
        """Ask a student for the first texts."""
        self.asked += 1
        return self._trial(spec, cost, *self._answers(spec, self._rungs[:1], 0))

    def rest(self, trial: Trial) -> Trial:
        """Ask it for the rest, too."""
        right, score = self._answers(trial.spec, self._rungs[1:], self._first)
        right = np.concatenate([trial.right, right])
        return self._trial(trial.spec, trial.cost, right, np.concatenate([trial.score, score]))

    def beginning(self, trial: Trial) -> Trial:
        """What was known of it after the first texts."""
        right, score = trial.right[: self._first], trial.score[: self._first]
        return self._trial(trial.spec, trial.cost, right, score)

    def _trial(self, spec: StudentSpec, cost: float, right: Booleans, score: Floats32) -> Trial:
        return Trial(spec, cost, right, score, self._kept(right, score))

    @torch.inference_mode()
    def _answers(
        self, spec: StudentSpec, rungs: Sequence[TextPart], start: int
    ) -> tuple[Booleans, Floats32]:
        """Where it is right, and its scores, of all texts of these rungs. start: the first text."""
        right, score = [], []
        for rung in rungs:
            logits = torch.empty(rung.texts, len(self._task.labels), dtype=torch.float64)
            for rows, packed in rung.batches:
                logits[rows] = self._runner.logits(packed.for_student(spec)).cpu().double()
            truth = self._truth[start : start + rung.texts]
            right.append((self._task.answers(logits) == truth).numpy())
            score.append(
                rounded(self._task.scores(logits, logits.new_ones(rung.texts)).margin.numpy())
            )
            start += rung.texts
        return np.concatenate(right), np.concatenate(score)

    def _kept(self, right: Booleans, score: Floats32) -> float:
        """The largest share, from the surest text on, of which no more are expected to be lost."""
        lost = ~right & self.ta.right[: len(right)]
        losses = np.stack([lost, np.zeros_like(lost)])
        evidence = Evidence(np.stack([score, score]), losses, np.ones(losses.shape), 0.0)
        risk = estimated_risk(evidence)[0]
        expected = np.cumsum(risk[np.argsort(-score, kind="stable")])
        return float((expected <= self._tolerated * len(right)).mean())
