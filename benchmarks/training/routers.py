"""Learned deferral: a logistic regression on what a stage knows, in place of a score.

Whether an answer stands is decided on a few features of it (Gupta et al. 2024, arXiv 2404.10136,
§4, where quantiles of token probabilities are the features): its scores as log-odds, its energy,
how often the stage loses texts of the class that it predicts, and whether earlier stages of the
same cascade agree with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

from nestling.models.calibration.evidence import Evidence, Floats, rounded
from nestling.models.calibration.path import doubt
from nestling.models.cascade.score import Score

FOLDS = 5
"""Of the ordering part: the texts that plan have scores of a regression that has not seen them."""
SHRINKAGE = 0.1
"""`C` of the regression. On 12 redraws of CLINC150 at 1 % 0.03 and 1 cost more."""
PREDICTED = 0
"""The column of features that holds the predicted class."""


@dataclass(frozen=True)
class Asked:
    """Texts that all students have answered.

    evidence: by score, of which all four are needed. labels: (students, texts) int64, the answers.
    """

    evidence: Mapping[Score, Evidence]
    labels: NDArray[np.int64]

    def features(self, student: int, earlier: tuple[int, ...], own_only: bool = False) -> Floats:
        """Of a student's answers after the answers of earlier stages: (texts, features).

        own_only: no more than its own logits say, without the class and without agreement.
        """
        seen = {score: each.score[student] for score, each in self.evidence.items()}
        columns: list[NDArray[np.generic]] = [
            np.zeros(self.labels.shape[1]) if own_only else self.labels[student],
            doubt(seen[Score.PROBABILITY]),
            doubt(seen[Score.MARGIN]),
            doubt(seen[Score.ENTROPY]),
            seen[Score.ENERGY],
        ]
        for each in () if own_only else earlier:
            agrees = self.labels[each] == self.labels[student]
            sure = -doubt(self.evidence[Score.MARGIN].score[each])
            columns += [agrees, np.where(agrees, sure, -sure)]
        return np.column_stack(columns).astype(np.float64)


@dataclass
class Routers:
    """The regressions of one calibration, each fitted once.

    A regression predicts that a text would be lost, were this student to answer it. asked: all
    texts. ordering: those that it is fitted on. own_only: see `Asked.features`.
    """

    asked: Asked
    ordering: NDArray[np.int64]
    own_only: bool = False
    _scores: dict[tuple[int, ...], NDArray[np.float32]] = field(default_factory=dict)

    def evidence(self, stages: tuple[int, ...]) -> Evidence:
        """Of all texts, with the learned scores; those of texts that order are cross-fitted.

        stages: the TA last, which keeps its score, as it always answers.
        """
        found = self.asked.evidence[Score.MARGIN].stages(stages)
        learned = [self.score(student, stages[:k]) for k, student in enumerate(stages[:-1])]
        return replace(found, score=np.stack([*learned, found.score[-1]]))

    def score(self, student: int, earlier: tuple[int, ...]) -> NDArray[np.float32]:
        """1 − P(lost) of each text; the margin where too few of those that order would be."""
        key = (student,) if self.own_only else (student, *earlier)
        if key not in self._scores:
            self._scores[key] = self._fitted(student, earlier)
        return self._scores[key]

    def _fitted(self, student: int, earlier: tuple[int, ...]) -> NDArray[np.float32]:
        margin = self.asked.evidence[Score.MARGIN]
        lost = margin.broken[student, self.ordering]
        if min(lost.sum(), (~lost).sum()) < 2 * FOLDS:  # a fold's fit needs some of both kinds
            return np.asarray(margin.score[student])
        features = self.asked.features(student, earlier, self.own_only)
        seen, rule = features[self.ordering], _regression()
        folds = StratifiedKFold(FOLDS)
        crossed = cross_val_predict(rule, seen, lost, cv=folds, method="predict_proba")
        found = rule.fit(seen, lost).predict_proba(features)[:, 1]
        found[self.ordering] = crossed[:, 1]
        return rounded(1 - found)


def _regression() -> Pipeline:
    """The class enters as the share of its texts that are lost, shrunk towards that of all."""
    by_class = TargetEncoder(target_type="binary", cv=StratifiedKFold(FOLDS))
    columns = make_column_transformer((by_class, [PREDICTED]), remainder="passthrough")
    return make_pipeline(columns, StandardScaler(), LogisticRegression(C=SHRINKAGE))
