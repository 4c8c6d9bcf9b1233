"""How much better a variant is than control: the difference of two means, and their ratio.

The difference has the variance v_t/n_t + v_c/n_c; its interval and p-value are those of `mixture`
after n_t + n_c units (arXiv 2103.06476, on treatment effects in randomised experiments). They are
asymptotic, and two rules keep them honest early on:

- Each v is the larger of the variant's own variance and that of all units, pooled. In a small
  variant with rare or skewed values, mean and variance are low together until the first rare value
  comes, and its own variance alone would raise a false alarm in one of three experiments.
- Nothing is said before each variant has `MINIMUM_UNITS`, and for a rate before the smaller one may
  expect `MINIMUM_EVENTS` of what is rarer.

The relative lift is the set of all ratios k − 1 for which mean_t − k·mean_c is not told apart from
zero (Fieller 1954), with the same anytime line for each k.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

from ..metrics import Kind
from .mean import MINIMUM_EVENTS, MINIMUM_UNITS, Interval
from .mixture import Mixture
from .summary import Summary


@dataclass(frozen=True)
class Lift:
    """Variant minus control.

    interval, p_value: asymptotic and anytime-valid; None and 1 until something can be said.
    relative: to control's mean, where that is above zero; its interval is None while control's mean
    is not told apart from zero. spread: the estimate's variance, times the units it rests on.
    """

    units: int
    estimate: float
    interval: Interval | None
    p_value: float
    relative: float | None
    relative_interval: Interval | None
    spread: float


def lift(treatment: Summary, control: Summary, kind: Kind, mixture: Mixture) -> Lift:
    """Of two summaries of disjoint units."""
    units = treatment.n + control.n
    estimate = treatment.mean - control.mean
    relative = relative_to(control.mean, estimate)
    if not _enough(treatment, control, kind):
        return Lift(units, estimate, None, 1.0, relative, None, 0.0)
    pooled = (treatment.m2 + control.m2) / (units - 2)
    errors = [max(each.variance, pooled) / each.n for each in (treatment, control)]
    width = mixture.standard_errors(units)
    error = sqrt(sum(errors))
    return Lift(
        units,
        estimate,
        Interval(estimate - width * error, estimate + width * error),
        mixture.p_value(estimate / error, units),
        relative,
        None if relative is None else _ratio(treatment.mean, control.mean, errors, width),
        units * sum(errors),
    )


def relative_to(control_mean: float, estimate: float) -> float | None:
    """A difference as a share of control's mean; None where that is not above zero, or too near."""
    if control_mean <= 0 or not isfinite(estimate / control_mean):
        return None
    return estimate / control_mean


def _enough(treatment: Summary, control: Summary, kind: Kind) -> bool:
    fewer = min(treatment.n, control.n)
    if fewer < MINIMUM_UNITS or not treatment.m2 + control.m2:
        return False
    rate = treatment.merge(control).mean
    return kind is not Kind.RATE or fewer * min(rate, 1 - rate) >= MINIMUM_EVENTS


def _ratio(treatment: float, control: float, errors: list[float], width: float) -> Interval | None:
    """All k − 1 with (m_t − k·m_c)² ≤ width²·(e_t + k²·e_c): between the roots of a quadratic."""
    a = control**2 - width**2 * errors[1]
    b = treatment * control
    c = treatment**2 - width**2 * errors[0]
    if a <= 0:
        return None
    root = sqrt(max(0.0, b * b - a * c))
    return Interval((b - root) / a - 1, (b + root) / a - 1)
