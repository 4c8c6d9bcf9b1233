"""How much better a variant is than control: the difference of two means, and their ratio.

The difference is asymptotically normal with variance v_t/n_t + v_c/n_c; its interval and p-value
are those of `mixture` after n_t + n_c units (arXiv 2103.06476, on treatment effects in
randomised experiments). The relative lift is the set of all ratios k − 1 for which
mean_t − k·mean_c is not told apart from zero (Fieller 1954), with the same anytime line for each k.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

from .mean import MINIMUM_UNITS, Interval
from .mixture import Mixture
from .summary import Summary


@dataclass(frozen=True)
class Lift:
    """Variant minus control.

    interval, p_value: asymptotic and anytime-valid; None and 1 until both have `MINIMUM_UNITS` and
    something varies. relative: to control's mean, where that is above zero; its interval is None
    while control's mean is not told apart from zero. spread: the estimate's variance times units.
    """

    units: int
    estimate: float
    interval: Interval | None
    p_value: float
    relative: float | None
    relative_interval: Interval | None
    spread: float


def lift(treatment: Summary, control: Summary, mixture: Mixture) -> Lift:
    """Of two summaries of disjoint units."""
    units = treatment.n + control.n
    estimate = treatment.mean - control.mean
    squared_error = treatment.squared_error + control.squared_error
    relative = relative_to(control.mean, estimate)
    spread = squared_error * units
    if min(treatment.n, control.n) < MINIMUM_UNITS or not squared_error:
        return Lift(units, estimate, None, 1.0, relative, None, spread)
    half = mixture.standard_errors(units) * sqrt(squared_error)
    return Lift(
        units,
        estimate,
        Interval(estimate - half, estimate + half),
        mixture.p_value(estimate / sqrt(squared_error), units),
        relative,
        _ratio(treatment, control, mixture.standard_errors(units))
        if relative is not None
        else None,
        spread,
    )


def relative_to(control_mean: float, estimate: float) -> float | None:
    """A difference as a share of control's mean; None where that is not above zero, or too near."""
    if control_mean <= 0 or not isfinite(estimate / control_mean):
        return None
    return estimate / control_mean


def _ratio(treatment: Summary, control: Summary, width: float) -> Interval | None:
    """All k − 1 with (m_t − k·m_c)² ≤ width²·(e_t + k²·e_c): between the roots of a quadratic."""
    a = control.mean**2 - width**2 * control.squared_error
    b = treatment.mean * control.mean
    c = treatment.mean**2 - width**2 * treatment.squared_error
    if a <= 0:
        return None
    root = sqrt(max(0.0, b * b - a * c))
    return Interval((b - root) / a - 1, (b + root) / a - 1)
