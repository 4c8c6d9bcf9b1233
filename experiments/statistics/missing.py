"""What of an experiment may be missing, and whether its variants miss it alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..definition import Experiment
from ..metrics import MEASURED
from .attrition import attrition_p_value, look_share
from .summary import Summary

ALPHA = 0.01
"""Of the failures, and once more of all that is reported or paired, shared out between metrics and
treatments (Bonferroni): with the sample ratio's, at most three sound experiments in a hundred are
ever blocked.
"""
FAILURES = "error_rate"
"""The test of requests that failed. Whatever the server measures is missing there, and only there.
"""
PAIRS = "answered pairs"
"""The test of pairs. No metric that is reported has a blank in its name."""


@dataclass(frozen=True)
class Coverage:
    """Of one variant at the last look. shares: of its units, how much of what was to be seen of
    each had been, 0 to 1. requests: that those units had made by then. observed: of which it had
    been seen.
    """

    shares: Summary = field(default_factory=Summary)
    requests: int = 0
    observed: int = 0


@dataclass(frozen=True)
class Attrition:
    """What was found of one metric, which may be FAILURES or PAIRS.

    p: at most x with probability at most x, over all looks and treatments at once. level: below it
    the verdict is blocked. observed: in all variants, at the last look. treatment: whose share is
    the least likely beside control's; None where there is nothing to compare.
    """

    metric: str
    p: float
    level: float
    observed: int
    coverage: Mapping[str, Coverage]
    treatment: str | None

    @property
    def found(self) -> bool:
        return self.p < self.level

    @property
    def missing(self) -> float:
        """Of what was to be seen, over all variants, the share that was not, per unit."""
        shares = Summary()
        for each in self.coverage.values():
            shares = shares.merge(each.shares)
        return 1 - shares.mean if shares.n else 0.0


def levels(experiment: Experiment) -> dict[str, float]:
    """What may be missing of what an experiment compares, each with the level of its test."""
    primary = experiment.primary.name
    compared = {primary, *(guardrail.metric.metric.name for guardrail in experiment.guardrails)}
    names = sorted(name for name in compared if name == "accuracy" or name not in MEASURED)
    if experiment.compares_pairs:
        names.append(PAIRS)
    shared = {name: ALPHA / len(names) for name in names}
    # Where failures are the outcome, every request has it.
    return shared if primary == FAILURES else {FAILURES: ALPHA} | shared


def attrition(
    experiment: Experiment,
    metric: str,
    coverage: Mapping[str, Coverage],
    stopped: Collection[str],
) -> Attrition:
    """coverage: by variant, all of them. stopped: variants that are left out: their units ask, and
    report, for a shorter time than the others'.
    """
    control = experiment.control
    compared = () if control.name in stopped else experiment.treatments
    once = {
        variant.name: attrition_p_value(
            coverage[variant.name].shares,
            coverage[control.name].shares,
            (variant.weight, control.weight),
        )
        for variant in compared
        if variant.name not in stopped
    }
    treatment = min(once, key=lambda name: once[name], default=None)
    observed = sum(each.observed for each in coverage.values())
    p = 1.0
    if treatment is not None and observed:
        share = look_share(observed, experiment.planned_units) / len(experiment.treatments)
        p = min(1.0, once[treatment] / share)
    return Attrition(metric, p, levels(experiment)[metric], observed, coverage, treatment)
