"""How much work a core has done by a moment, where its speed changes."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from operator import mul

from ..profile.costs import Speeds


class Speed:
    """The speeds that were measured on a machine, repeated without end.

    begin: where among them the simulation starts, as a share of their time, 0 to 1.
    """

    def __init__(self, speeds: Speeds, begin: float) -> None:
        self._moments = list(accumulate(speeds.seconds, initial=0.0))
        self._works = list(accumulate(map(mul, speeds.seconds, speeds.speed), initial=0.0))
        self._begin = begin * self._moments[-1]

    def done(self, moment: float) -> float:
        """Work that a core that never rests has done by then, seconds at speed 1."""
        return _follow(self._moments, self._works, self._begin + moment)

    def end(self, moment: float, work: float) -> float:
        """When so much work (seconds at speed 1) that begins at a moment is done."""
        target = self.done(moment) + work
        return max(moment, _follow(self._works, self._moments, target) - self._begin)


def _follow(xs: list[float], ys: list[float], x: float) -> float:
    """y at x on the polyline through the points, which is repeated without end."""
    times, rest = divmod(x, xs[-1])
    place = min(bisect_right(xs, rest), len(xs) - 1)
    left, right = xs[place - 1], xs[place]
    share = (rest - left) / (right - left)
    return times * ys[-1] + ys[place - 1] + share * (ys[place] - ys[place - 1])
