"""Before and after on the same texts: what has become better, what worse, and what is noise."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import sqrt
from statistics import NormalDist
from typing import Any

from torch import Tensor

from ..held_out import TELLING

LEVEL = 0.05
"""Probability that a training which changes nothing is called worse, over all that is compared."""
CONFIDENCE = 0.95
"""Of the intervals."""
MOST_CHANGED = 0.01
"""Share of its answers that the TA may change where labels do not judge it."""


@dataclass(frozen=True)
class Comparison:
    """One student on some texts.

    where: which texts. before, after: share that it has right. won, lost: texts that it has right
    only after, only before. by_the_ta: what is right is a TA's word, as `judging.compare` says.
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
    def which(self) -> str:
        """Which texts, for the user."""
        by = ", by the earlier TA's word" if self.by_the_ta else ""
        return f"{self.texts:,} of {self.where}{by}"

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


@dataclass(frozen=True)
class Judgement:
    """What was compared: every student, on every kind of texts that judge.

    ta: the TA's name. by_labels: whether enough labels judge it that nobody picked by its answers,
    as `FurtherMaterial` says. Its own earlier word cannot say that it became better; so where such
    labels are missing, the TA may change at most `MOST_CHANGED` of its answers to other texts.
    """

    compared: Sequence[Comparison]
    ta: str
    by_labels: bool

    @property
    def tested(self) -> list[Comparison]:
        """All but the TA by its own earlier word, where labels judge it."""
        return [each for each in self.compared if not (self.by_labels and self._by_itself(each))]

    @property
    def level(self) -> float:
        """Of each test: by Bonferroni, so that it is `LEVEL` over everything together."""
        return LEVEL / max(1, len(self.tested))

    @property
    def worse(self) -> list[Comparison]:
        """What is worse beyond noise."""
        return [each for each in self.tested if self.p_worse(each) < self.level]

    def p_worse(self, each: Comparison) -> float:
        """Of the test that it is held to."""
        return each.p_worse(MOST_CHANGED if self._by_itself(each) else None)

    def noticed(self, each: Comparison) -> int | None:
        """The fewest texts lost, and none won, that would have been called worse; None where even
        the loss of all would not.
        """
        losses = range(each.texts + 1)
        found = bisect_left(
            losses,
            True,
            key=lambda lost: self.p_worse(replace(each, won=0, lost=lost)) < self.level,
        )
        return found if found < len(losses) else None

    def blind(self) -> dict[str, int | None]:
        """Which texts are fewer than `TELLING`, and the smallest loss that is `noticed` there."""
        few: dict[str, list[int | None]] = {}
        for each in self.tested:
            if each.texts < TELLING:
                few.setdefault(each.which, []).append(self.noticed(each))
        return {where: min(filter(None, lost), default=None) for where, lost in few.items()}

    def to_json(self) -> list[dict[str, Any]]:
        """What was compared, with the intervals; of what was tested the p-value and its level."""
        told = {each: {"p_worse": self.p_worse(each), "level": self.level} for each in self.tested}
        return [
            asdict(each) | {"interval": each.interval} | told.get(each, {})
            for each in self.compared
        ]

    def _by_itself(self, each: Comparison) -> bool:
        return each.student == self.ta and each.by_the_ta
