"""Testing whether accuracy drops by less than alpha: an exact test of breakage minus recovery.

Of n independent texts B break (the cascade is wrong, the TA right) and R recover (the other way
round): a trinomial draw with the shares b and r. H0: b − r > α. How much B − R varies hangs on r,
of which H0 says nothing. The test rejects where the score statistic

    z = (B − R − nα) / √( n (2 r̃ + α − α²) ),   r̃ the likeliest r among those with b = r + α,

is at most −c (Tango 1998; Tang, Tang, Chan 2003), with the least c at which the chance of that is
at most δ *whatever* r is: an exact unconditional test. H0 with b > r + α is less likely to be
rejected than with b = r + α, since a break more never helps and a recovery more never hurts.

The chance f(r) is worked out on a grid. Between two of its points it is at most what more
recoveries and fewer breaks than either would give; and, as the likelihood of one text is linear in
r, |f″| ≤ √(2 f (1 − f)) I(r) with Fisher's information I, which bounds how far f can rise above
the greater of the two. The lesser of both bounds counts, so that δ is kept for every r.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
MOST_RECOVERIES = (0.2, 3_000)
"""A share of the texts, and a number: recoveries beyond the lesser of both no longer count."""
STEP = 0.1
"""Between two shares of recoveries that are tried, in standard errors of that share."""
WINDOW = 7.5
"""Standard deviations on both sides of its mean within which R is summed; the rest counts whole."""
TOLERANCE = 0.003
"""Of the critical value."""


@dataclass(frozen=True)
class NetTest:
    """The test of H0: net risk > alpha among so many texts.

    critical: c. most: (recoveries + 1,) int64, the most breaks at which it rejects, by how many
    texts recover, −1 for never; beyond its end the last entry.
    """

    texts: int
    alpha: float
    critical: float
    most: Integers

    def allowed(self, recoveries: Integers) -> Integers:
        """The most breaks at which H0 is rejected, elementwise."""
        return np.asarray(self.most[np.minimum(recoveries, len(self.most) - 1)])

    def rejects(self, breaks: Integers, recoveries: Integers) -> NDArray[np.bool_]:
        """Whether H0 is rejected, elementwise."""
        return np.asarray(breaks <= self.allowed(recoveries))

    def upper_bounds(self, breaks: Integers, recoveries: Integers) -> Floats:
        """What the net risk is at most, elementwise: the least risk that the statistic rejects with
        the critical value of alpha. At most alpha exactly where H0 is rejected; as that value
        hardly changes with alpha, close to exact elsewhere.
        """
        low = np.maximum((breaks - recoveries) / self.texts, 0.0)
        high = np.ones_like(low)
        for _ in range(40):
            middle = (low + high) / 2
            rejected = score(breaks, recoveries, self.texts, middle) <= -self.critical
            low, high = np.where(rejected, low, middle), np.where(rejected, middle, high)
        passed = self.rejects(breaks, recoveries)
        beyond = np.maximum(high, np.nextafter(self.alpha, 1))
        return np.where(passed, np.minimum(high, self.alpha), beyond)


def score(breaks: Integers, recoveries: Integers, texts: int, alpha: Floats | float) -> Floats:
    """The statistic z, elementwise. breaks, recoveries: 0 to texts together; alpha above 0."""
    b, r = np.asarray(breaks, np.float64), np.asarray(recoveries, np.float64)
    alpha = np.maximum(alpha, 1e-12)
    linear = (b + r) * (1 - alpha) - 2 * alpha * (texts - b)
    root = np.sqrt(linear**2 + 8 * texts * r * alpha * (1 - alpha))
    likeliest = np.maximum(linear + root, 0.0) / (4 * texts)
    spread = np.sqrt(texts * (2 * likeliest + alpha - alpha**2))
    return np.asarray((b - r - texts * alpha) / np.maximum(spread, 1e-12))


@lru_cache(maxsize=64)
def net_test(texts: int, alpha: float, confidence: float) -> NetTest:
    """The test at level δ = 1 − confidence: the least critical value that keeps it."""
    from scipy.special import ndtri  # heavy: only the commands that calibrate pay for it

    delta = 1 - confidence
    chances = _Chances(texts, alpha, delta)
    low = max(0.0, -float(ndtri(delta)))
    if chances.greatest(most := _most_breaks(texts, alpha, low)) <= delta:
        return NetTest(texts, alpha, low, most)
    start, high = low, low + 0.02
    while chances.greatest(_most_breaks(texts, alpha, high)) > delta:
        low, high = high, high + 2 * (high - start)
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        kept = chances.greatest(_most_breaks(texts, alpha, middle)) <= delta
        low, high = (low, middle) if kept else (middle, high)
    return NetTest(texts, alpha, high, _most_breaks(texts, alpha, high))


def _most_breaks(texts: int, alpha: float, critical: float) -> Integers:
    """By bisection for each number of recoveries; never fewer than with fewer recoveries."""
    share, number = MOST_RECOVERIES
    recoveries = np.arange(min(int(share * texts), number) + 1)
    low = np.full(len(recoveries), -1)
    high = np.minimum(recoveries + int(np.ceil(texts * alpha)), texts - recoveries) + 1
    while (high - low > 1).any():
        middle = (low + high) // 2
        rejected = (score(middle, recoveries, texts, alpha) <= -critical) & (middle >= 0)
        low, high = np.where(rejected, middle, low), np.where(rejected, high, middle)
    return np.asarray(np.maximum.accumulate(low), dtype=np.int64)


class _Chances:
    """How likely a test is to reject, at worst, where the net risk is alpha."""

    def __init__(self, texts: int, alpha: float, delta: float) -> None:
        self._texts, self._alpha, self._delta = texts, alpha, delta
        last, end = self._last(), (1 - alpha) / 2
        self._all = last >= end
        last = min(last, end)
        steps = int(np.ceil(2 * np.sqrt(2 * texts * last) / STEP))
        self._shares = np.linspace(0, np.sqrt(last), steps + 1) ** 2
        spread = np.sqrt(texts * self._shares * (1 - self._shares))
        first = np.maximum(0, texts * self._shares - WINDOW * spread - 5).astype(np.int64)
        width = int(2 * WINDOW * spread.max()) + 30
        self._recoveries = np.minimum(first[:, None] + np.arange(width), texts)
        twice = np.diff(self._recoveries, axis=1, prepend=-1) == 0
        self._weights = np.where(twice, 0.0, self._drawn())

    def _last(self) -> float:
        """A share from which on more than what counts would recover, but for a tenth of δ."""
        from scipy.special import bdtri

        share, number = MOST_RECOVERIES
        counted = min(int(share * self._texts), number)
        most = counted + int(np.ceil(self._texts * self._alpha))
        ends = [bdtri(k, self._texts, self._delta / 10) for k in (counted, most)]
        return float(np.nanmax([*ends, 0.0]))

    def _drawn(self) -> Floats:
        """P(R = r) for each share and r."""
        from scipy.special import gammaln, xlog1py, xlogy

        n, r, share = self._texts, self._recoveries, self._shares[:, None]
        ways = gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)
        return np.asarray(np.exp(ways + xlogy(r, share) + xlog1py(n - r, -share)))

    def greatest(self, most: Integers) -> float:
        """An upper bound, over all shares of recoveries, of the chance to reject."""
        at = self._chance(most, self._shares)
        boxes = self._chance(most, np.concatenate([[0.0], self._shares[:-1]]))[1:]
        between = np.minimum(boxes, self._curved(np.maximum(at[:-1], at[1:])))
        return float(max(at.max(), between.max(initial=0.0), self._beyond(most)))

    def _chance(self, most: Integers, less: Floats) -> Floats:
        """Where r is each share of the grid, but b − α that of `less`."""
        from scipy.special import bdtr

        left = self._texts - self._recoveries
        breaks = np.minimum(most[np.minimum(self._recoveries, len(most) - 1)], left)
        given = np.minimum((less + self._alpha) / (1 - self._shares), 1.0)[:, None]
        below = np.where(breaks >= 0, bdtr(np.maximum(breaks, 0), left, given), 0.0)
        return np.asarray((self._weights * below).sum(axis=1) + 1 - self._weights.sum(axis=1))

    def _curved(self, ends: Floats) -> Floats:
        """From the greater of two neighbours, the most that lies between them."""
        shares, alpha = self._shares, self._alpha
        with np.errstate(divide="ignore"):
            each = 1 / shares + 1 / (shares + alpha) + 4 / np.maximum(1 - 2 * shares - alpha, 0.0)
        information = self._texts * np.maximum(each[:-1], each[1:])  # convex: greatest at an end
        room = np.sqrt(2) * information * np.diff(shares) ** 2 / 8
        first = np.minimum(ends + room / 2, 0.5)  # √(f (1 − f)) ≤ 1 / 2, and grows up to there
        return np.asarray(ends + room * np.sqrt(first * (1 - first)))

    def _beyond(self, most: Integers) -> float:
        """At any greater share: few enough recover to count, or few enough break."""
        from scipy.special import bdtr

        last = self._shares[-1]
        if self._all:
            return 0.0
        few = bdtr(len(most) - 1, self._texts, last)
        rare = bdtr(most[-1], self._texts, last + self._alpha) if most[-1] >= 0 else 0.0
        return float(few + rare)
