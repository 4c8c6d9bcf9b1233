"""What stops a variant by itself: a one-sided test at every look, and a sentence why.

Rates are tested by the sequence of `mean.rate_interval`, exactly for units whose values stand still
(not for those that keep asking), without a least number of units; a p99 of the latency is the rate
of requests above the limit, which must not be above 1 %. Costs are tested asymptotically, from
`MINIMUM_UNITS` on. Each guardrail stops a variant that keeps to it with probability at most 1 − its
confidence, ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...models.calibration.anytime import PRIOR
from ..definition import Guardrail
from ..metrics import Better, Kind
from .lift import lift
from .mean import mean_interval, rate_interval
from .mixture import Mixture
from .numbers import amount, difference
from .summary import Summary

BEST_AT = 1_000
"""Units: a guardrail should hold early."""


@dataclass(frozen=True)
class Violation:
    """Why a variant is stopped, after how many of its units.

    observed, proven: the metric, or where the guardrail has a margin its difference from control's,
    as it was seen, and how bad it is at the least. Of the latency: the share above the limit.
    """

    variant: str
    metric: str
    units: int
    observed: float
    proven: float
    why: str


def violation(
    guardrail: Guardrail, variant: str, treatment: Summary, control: Summary
) -> Violation | None:
    """None while nothing is proven.

    treatment, control: one value per unit, the mean over its requests: of the metric, or for a
    quantile of the latency, of whether a request took longer than the limit. Raises ValueError for
    a rate outside [0, 1].
    """
    if guardrail.limit is not None:
        found = _beyond_limit(guardrail, guardrail.limit, treatment)
        observed = treatment.mean
    else:
        found = _worse_than_control(guardrail, treatment, control)
        observed = treatment.mean - control.mean
    if found is None:
        return None
    proven, what = found
    why = f"{variant!r} is stopped: {what}, after {treatment.n:,} units"
    return Violation(variant, guardrail.metric.name, treatment.n, observed, proven, why)


def _beyond_limit(guardrail: Guardrail, limit: float, values: Summary) -> tuple[float, str] | None:
    """What is proven, and in words; None if nothing."""
    metric, kind, alpha = guardrail.metric, guardrail.metric.kind, 1 - guardrail.confidence
    if metric.quantile:
        low = rate_interval(values, alpha, PRIOR).low
        if low <= 1 - metric.quantile:
            return None
        return low, (
            f"{amount(values.mean, kind)} of a unit's requests took longer than {limit:g} ms, at "
            f"least {amount(low, kind)}, where {metric.name} allows "
            f"{amount(1 - metric.quantile, kind)}"
        )
    if metric.metric.better is Better.HIGHER:
        high = 1 - rate_interval(_complement(values), alpha, PRIOR).low
        if high >= limit:
            return None
        return high, (
            f"{metric.name} is {amount(values.mean, kind)}, at most {amount(high, kind)}, and the "
            f"limit is {amount(limit, kind)}"
        )
    if kind is Kind.RATE:
        low = rate_interval(values, alpha, PRIOR).low
    else:
        interval = mean_interval(values, kind, Mixture(alpha, BEST_AT))
        if interval is None:
            return None
        low = interval.low
    if low <= limit:
        return None
    return low, (
        f"{metric.name} is {amount(values.mean, kind)}, at least {amount(low, kind)}, and the "
        f"limit is {amount(limit, kind)}"
    )


def _worse_than_control(
    guardrail: Guardrail, treatment: Summary, control: Summary
) -> tuple[float, str] | None:
    """What is proven of the difference, and in words; None if nothing."""
    metric, kind, alpha = guardrail.metric, guardrail.metric.kind, 1 - guardrail.confidence
    lower_is_worse = metric.metric.better is Better.HIGHER
    if kind is Kind.RATE:
        if lower_is_worse:
            treatment, control = _complement(treatment), _complement(control)
        worse = (
            rate_interval(treatment, alpha / 2, PRIOR).low
            - rate_interval(control, alpha / 2, PRIOR).high
        )
    else:
        interval = lift(treatment, control, kind, Mixture(alpha, BEST_AT)).interval
        if interval is None:
            return None
        worse = interval.low
    margin = guardrail.margin or 0.0
    if worse <= margin:
        return None
    seen = treatment.mean - control.mean
    side = "below" if lower_is_worse else "above"
    return (-worse if lower_is_worse else worse), (
        f"{metric.name} is {difference(seen, kind)} {side} control's, at least "
        f"{difference(worse, kind)}, and the margin is {difference(margin, kind)}"
    )


def _complement(rate: Summary) -> Summary:
    """Of the rate of what is good, that of what is bad."""
    return Summary(rate.n, 1 - rate.mean if rate.n else 0.0, rate.m2)
