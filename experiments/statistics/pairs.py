"""Units that both variants answered: each is its own control.

The differences treatment − control are one sample; what units have in common cancels. Their mean
is tested against zero with the line of `mixture`, asymptotically.
"""

from __future__ import annotations

from math import sqrt

from ..metrics import Kind
from .lift import Lift, relative_to
from .mean import MINIMUM_EVENTS, MINIMUM_UNITS, Interval
from .mixture import Mixture
from .summary import Summary


def paired_lift(differences: Summary, control_mean: float, kind: Kind, mixture: Mixture) -> Lift:
    """Of differences treatment − control, one per unit that both answered.

    control_mean: over the same units. kind: of the values; of rates it takes `MINIMUM_EVENTS` units
    on which the variants differ. The relative interval is left out: it would need how both vary
    together.
    """
    n, estimate = differences.n, differences.mean
    relative = relative_to(control_mean, estimate)
    differ = differences.m2 + n * estimate**2  # of 0/1 values: the units on which they do
    rare = kind is Kind.RATE and differ < MINIMUM_EVENTS
    if n < MINIMUM_UNITS or rare or not differences.m2:
        return Lift(n, estimate, None, 1.0, relative, None, 0.0)
    error = sqrt(differences.squared_error)
    half = mixture.standard_errors(n) * error
    p_value = mixture.p_value(estimate / error, n)
    interval = Interval(estimate - half, estimate + half)
    return Lift(n, estimate, interval, p_value, relative, None, differences.variance)
