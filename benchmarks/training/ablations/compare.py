"""Paired differences between variants, over seeds and texts, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ALPHA = 0.01
"""Share of all texts that may be wrong where the teacher is right, for what a student accepts."""
DRAWS = 1000


@dataclass(frozen=True)
class Answers:
    """One student's on the test texts, a row for each seed.

    right: (seeds, texts) bool. score: (seeds, texts), the margin of its two highest logits.
    broken: (seeds, texts) bool, where it is wrong and the teacher of that seed right.
    """

    right: NDArray[np.bool_]
    score: Floats
    broken: NDArray[np.bool_]

    @classmethod
    def of(
        cls, runs: Sequence[Mapping[str, Any]], teachers: Sequence[Mapping[str, Any]], student: str
    ) -> Answers:
        """From the records of runs, and those of the teachers of the same seeds."""
        right = np.array([run["right"][student] for run in runs], dtype=bool)
        score = np.array([run["score"][student] for run in runs], dtype=np.float64)
        known = np.array([each["right"]["teacher"] for each in teachers], dtype=bool)
        return cls(right, score, known & ~right)

    def accuracy(self, weights: Floats) -> Floats:
        """(seeds, draws). weights: (draws, texts), how often a text is drawn."""
        return np.asarray(self.right @ weights.T / weights.sum(axis=1))

    def accepted(self, weights: Floats) -> Floats:
        """(seeds, draws), the largest share of texts that it could answer, the surest first, with
        at most `ALPHA` of all texts broken.
        """
        texts = weights.sum(axis=1)
        found = []
        for score, broken in zip(self.score, self.broken, strict=True):
            order = np.argsort(-score, kind="stable")
            drawn = weights[:, order]
            allowed = np.cumsum(drawn * broken[order], axis=1) <= ALPHA * texts[:, None]
            found.append((drawn * allowed).sum(axis=1) / texts)
        return np.stack(found)


def resampled(texts: int, seed: int = 0) -> Floats:
    """How often each text is drawn, with replacement: (1 + draws, texts); the first row is the
    texts as they are.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(texts, np.full(texts, 1 / texts), DRAWS)
    return np.concatenate([np.ones((1, texts)), drawn])


def compared(variant: Answers, against: Answers | None) -> dict[str, Any]:
    """Accuracy and accepted share, and how much more than another variant has of both.

    The intervals at 95 % are percentiles of draws of texts and of seeds, the same for both.
    """
    seeds, texts = variant.right.shape
    weights = resampled(texts)
    lot = np.random.default_rng(1).integers(0, seeds, (DRAWS, seeds))
    found: dict[str, Any] = {}
    for measure in ("accuracy", "accepted"):
        own = getattr(variant, measure)(weights)
        found[measure] = round(float(own[:, 0].mean()), 5)
        if against is None:
            continue
        more = own - getattr(against, measure)(weights)
        again = np.take_along_axis(more[:, 1:], lot.T, axis=0).mean(axis=0)
        found[f"{measure}_more"] = round(float(more[:, 0].mean()), 5)
        found[f"{measure}_interval"] = np.quantile(again, (0.025, 0.975)).round(5).tolist()
    return found
