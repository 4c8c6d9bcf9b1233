"""Before and after on the same texts: what has become better, what worse, and what is noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

from torch import Tensor

LEVEL = 0.05
"""Probability that a training which changes nothing is called worse, over all that is compared."""
CONFIDENCE = 0.95
"""Of the intervals."""
MOST_CHANGED = 0.01
"""Share of its answers that the TA may change where no label says whether they became better."""


@dataclass(frozen=True)
class Comparison:
    """One student on some texts.

    where: which texts. before, after: share that it has right. won, lost: texts that it has right
    only after, only before. by_the_ta: what is right is the earlier TA's word.
    """

    where: str
    student: str
    texts: int
    before: float
    after: float
    won: int
    lost: int
    by_the_ta: bool

    @classmethod
    def of(
        cls, where: str, student: str, before: Tensor, after: Tensor, by_the_ta: bool
    ) -> Comparison:
        """before, after: which texts it has right, (texts,) bool; one at least."""
        won, lost = int((after & ~before).sum()), int((before & ~after).sum())
        first, then = (each.float().mean().item() for each in (before, after))
        return cls(where, student, len(before), first, then, won, lost, by_the_ta)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the difference after − before: the adjusted Wald interval for paired proportions
        (Bonett, Price 2012, doi 10.3102/1076998611411915), which holds for few texts too.
        """
        texts = self.texts + 2
        won, lost = (self.won + 1) / texts, (self.lost + 1) / texts
        error = sqrt((won + lost - (won - lost) ** 2) / texts)
        half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * error
        return max(-1.0, won - lost - half), min(1.0, won - lost + half)

    def p_worse(self, limit: float | None = None) -> float:
        """Of a change that is none, or for the better: McNemar's exact one-sided test (1947).

        limit: in place of it, of at most this share of all texts lost.
        """
        from scipy.stats import binomtest

        changed = self.won + self.lost
        if not changed:
            return 1.0
        trials, share = (changed, 0.5) if limit is None else (self.texts, limit)
        return float(binomtest(self.lost, trials, share, alternative="greater").pvalue)

    def to_json(self) -> dict[str, Any]:
        """With the interval and the p-value."""
        return asdict(self) | {"interval": self.interval, "p_worse": self.p_worse()}


@dataclass(frozen=True)
class Judgement:
    """What was compared: every student, on every kind of texts that judge.

    ta: the TA's name. The word of the earlier TA cannot say that it became better; so where that is
    all there is, the TA may change at most `MOST_CHANGED` of its answers.
    """

    compared: Sequence[Comparison]
    ta: str

    @property
    def worse(self) -> list[Comparison]:
        """What is worse beyond noise: by Bonferroni, at `LEVEL` over everything together."""
        tests = [(each, self._p_value(each)) for each in self.compared]
        held = [(each, p) for each, p in tests if p is not None]
        return [each for each, p in held if p < LEVEL / len(held)]

    def _p_value(self, each: Comparison) -> float | None:
        """None where a difference says nothing: the TA by its own earlier word, beside labels."""
        if each.student == self.ta and each.by_the_ta:
            labelled = any(not other.by_the_ta for other in self.compared)
            return None if labelled else each.p_worse(MOST_CHANGED)
        return each.p_worse()
