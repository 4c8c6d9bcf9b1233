"""Learned deferral: a logistic regression on what a stage knows, in place of a score.

Gupta et al. (2024, arXiv 2404.10136) let a learned rule on a few features of an answer decide
whether it stands, there quantiles of its tokens' probabilities. Here they are its scores as
log-odds, its energy, how often the stage loses texts of the class that it predicts, and whether
earlier stages of the same cascade agree with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from nestling.models.calibration.evidence import Evidence, Floats, rounded
from nestling.models.calibration.path import doubt
from nestling.models.cascade.score import Score

FOLDS = 3
"""Of the ordering part: the texts that plan have scores of a regression that has not seen them."""
SHRINKAGE = 0.1
"""`C` of the regression. On 12 redraws of CLINC150 at 1 % 0.03 and 1 cost more."""
PRIOR_TEXTS = 5
"""Of each class, as many as if they had the share of all."""
PREDICTED = 0
"""The column of features that holds the predicted class, the first."""


@dataclass(frozen=True)
class Asked:
    """Texts that all students have answered.

    evidence: by score, of which all four are needed. labels: (students, texts) int64, the answers.
    """

    evidence: Mapping[Score, Evidence]
    labels: NDArray[np.int64]

    def features(self, student: int, earlier: tuple[int, ...]) -> Floats:
        """Of a student's answers after the answers of earlier stages: (texts, features)."""
        seen = {score: each.score[student] for score, each in self.evidence.items()}
        columns: list[NDArray[np.generic]] = [
            self.labels[student],
            doubt(seen[Score.PROBABILITY]),
            doubt(seen[Score.MARGIN]),
            doubt(seen[Score.ENTROPY]),
            seen[Score.ENERGY],
        ]
        for each in earlier:
            agrees = self.labels[each] == self.labels[student]
            sure = -doubt(self.evidence[Score.MARGIN].score[each])
            columns += [agrees, np.where(agrees, sure, -sure)]
        return np.column_stack(columns).astype(np.float64)


@dataclass
class Routers:
    """The regressions of one calibration, each fitted once.

    A regression predicts that a text would be lost, were this student to answer it. asked: all
    texts. ordering: those that it is fitted on.
    """

    asked: Asked
    ordering: NDArray[np.int64]
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
        key = (student, *earlier)
        if key not in self._scores:
            self._scores[key] = self._fitted(student, earlier)
        return self._scores[key]

    def _fitted(self, student: int, earlier: tuple[int, ...]) -> NDArray[np.float32]:
        margin = self.asked.evidence[Score.MARGIN]
        lost = margin.broken[student, self.ordering]
        if min(lost.sum(), (~lost).sum()) < 2 * FOLDS:  # a fold's fit needs some of both kinds
            return np.asarray(margin.score[student])
        features = self.asked.features(student, earlier)
        seen = features[self.ordering]
        found = regression(seen, lost, features)
        crossed = np.empty(len(seen))
        for rest, fold in StratifiedKFold(FOLDS).split(seen, lost):
            crossed[fold] = regression(seen[rest], lost[rest], seen[fold])
        found[self.ordering] = crossed
        return rounded(1 - found)


def regression(seen: Floats, lost: NDArray[np.bool_], features: Floats) -> Floats:
    """P(lost) of texts with these features, fitted on others, of which it is known.

    The predicted class enters as the share of its texts that are lost. Of a text that is fitted on
    the share is that of other folds, or it would give away what is to be predicted.
    """
    shares, known = np.empty(len(seen)), seen
    for rest, fold in StratifiedKFold(FOLDS).split(seen, lost):
        shares[fold] = _share(seen[rest], lost[rest], seen[fold])
    seen = np.column_stack([shares, seen[:, 1:]])
    features = np.column_stack([_share(known, lost, features), features[:, 1:]])
    mean, spread = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-9)
    rule = LogisticRegression(C=SHRINKAGE, solver="newton-cholesky")
    rule.fit((seen - mean) / spread, lost)
    return np.asarray(rule.predict_proba((features - mean) / spread)[:, 1])


def _share(seen: Floats, lost: NDArray[np.bool_], features: Floats) -> Floats:
    """Of the texts of each text's predicted class, shrunk towards that of all."""
    of, asked = seen[:, PREDICTED].astype(int), features[:, PREDICTED].astype(int)
    classes = int(max(of.max(), asked.max())) + 1
    count = np.bincount(of, minlength=classes)
    share = (np.bincount(of, lost, classes) + PRIOR_TEXTS * lost.mean()) / (count + PRIOR_TEXTS)
    return np.asarray(share[asked])
