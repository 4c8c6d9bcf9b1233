"""All numbers of one phase of one experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..definition import Experiment
from .cuped import adjust, variance_removed
from .lift import Lift, lift
from .mean import Interval, mean_interval
from .missing import Attrition, Coverage, attrition, levels
from .mixture import Mixture
from .pairs import paired_lift
from .quantiles import Quantile
from .sample_ratio import sample_ratio_p_value
from .summary import Joint, Summary
from .verdict import Verdict, comparison, verdict


@dataclass(frozen=True)
class VariantTraffic:
    """What one variant received and what it took, without crossed units.

    units: with an exposure. errors: requests with a status from 400. escalations: of all texts,
    each time one is passed on. cost: money. What is per request or text is None where there is
    none.
    """

    units: int = 0
    requests: int = 0
    texts: int = 0
    errors: int = 0
    escalations: int = 0
    cost: float = 0.0

    @property
    def cost_per_1000(self) -> float | None:
        """Money per 1,000 requests."""
        return 1000 * self.cost / self.requests if self.requests else None

    @property
    def escalation_rate(self) -> float | None:
        """Per text."""
        return self.escalations / self.texts if self.texts else None

    @property
    def error_rate(self) -> float | None:
        """Per request."""
        return self.errors / self.requests if self.requests else None


@dataclass(frozen=True)
class VariantObservations:
    """What is known of one variant in one phase.

    outcomes: the primary metric, one value per unit that has any. covaried: the units among them of
    which something was known before, with that. pairs: in paired mode, of a treatment: the units
    that both variants answered, its value beside control's. latency: of requests, in ms, at the
    confidence of the experiment. coverage: by metric, of what may be missing (`missing.levels`).
    """

    traffic: VariantTraffic = field(default_factory=VariantTraffic)
    outcomes: Summary = field(default_factory=Summary)
    covaried: Joint = field(default_factory=Joint)
    pairs: Joint = field(default_factory=Joint)
    latency: tuple[Quantile, ...] = ()
    coverage: Mapping[str, Coverage] = field(default_factory=dict)


@dataclass(frozen=True)
class VariantReport:
    """lift: against control, by CUPED where every unit has a covariate. pairs: the same from units
    that both answered. cost_per_1000, error_rate: of requests. escalation_rate: of texts. None: no
    such numbers.
    """

    name: str
    enrolled: int
    units: int
    mean: float | None
    interval: Interval | None
    lift: Lift | None
    pairs: Lift | None
    latency: tuple[Quantile, ...]
    cost_per_1000: float | None
    escalation_rate: float | None
    error_rate: float | None
    stopped: str | None


@dataclass(frozen=True)
class Report:
    """attrition: failures first. variance_removed: by CUPED, 0 to 1; None without a covariate."""

    experiment: str
    phase: str
    variants: tuple[VariantReport, ...]
    sample_ratio_p: float
    attrition: tuple[Attrition, ...]
    variance_removed: float | None
    verdict: Verdict


def report(
    experiment: Experiment, observed: Mapping[str, VariantObservations], stopped: Mapping[str, str]
) -> Report:
    """observed: by variant, all of them. stopped: why, by variant that a guardrail stopped.

    In paired mode the verdict rests on the pairs, otherwise on the lifts: which of the two is
    declared before the first look, so that nobody picks. Raises ValueError for numbers that cannot
    be, KeyError for a variant that is missing.
    """
    seen = [observed[variant.name] for variant in experiment.variants]
    kind, mixture = experiment.primary.kind, comparison(experiment)
    covaried = [each.covaried for each in seen]
    adjusts = all(0 < each.covaried.n == each.outcomes.n for each in seen)
    outcomes = adjust(covaried) if adjusts else [each.outcomes for each in seen]
    lifts = {
        variant.name: lift(values, outcomes[0], kind, mixture)
        for variant, values in zip(experiment.treatments, outcomes[1:], strict=True)
    }
    pairs = {
        variant.name: paired_lift(each.pairs.difference, each.pairs.covariate.mean, kind, mixture)
        for variant, each in zip(experiment.treatments, seen[1:], strict=True)
        if experiment.compares_pairs
    }
    counted = [
        (each.traffic.units, variant.weight)
        for variant, each in zip(experiment.variants, seen, strict=True)
        if variant.name not in stopped
    ]
    ratio = sample_ratio_p_value([n for n, _ in counted], [weight for _, weight in counted])
    missing = tuple(
        attrition(
            experiment,
            metric,
            {
                variant.name: each.coverage.get(metric, Coverage())
                for variant, each in zip(experiment.variants, seen, strict=True)
            },
            stopped,
        )
        for metric in levels(experiment)
    )
    paired_units = sum(pair.units for pair in pairs.values())
    units = paired_units if experiment.compares_pairs else sum(values.n for values in outcomes)
    return Report(
        experiment.name,
        experiment.phase,
        tuple(
            _variant(variant.name, each, experiment, lifts, pairs, stopped)
            for variant, each in zip(experiment.variants, seen, strict=True)
        ),
        ratio,
        missing,
        variance_removed(covaried) if adjusts else None,
        verdict(
            experiment,
            ratio,
            pairs if experiment.compares_pairs else lifts,
            stopped,
            units,
            missing,
        ),
    )


def _variant(
    name: str,
    seen: VariantObservations,
    experiment: Experiment,
    lifts: Mapping[str, Lift],
    pairs: Mapping[str, Lift],
    stopped: Mapping[str, str],
) -> VariantReport:
    best_at = experiment.planned_units / len(experiment.variants)
    own = Mixture(1 - experiment.confidence, best_at)
    return VariantReport(
        name=name,
        enrolled=seen.traffic.units,
        units=seen.outcomes.n,
        mean=seen.outcomes.mean if seen.outcomes.n else None,
        interval=mean_interval(seen.outcomes, experiment.primary.kind, own),
        lift=lifts.get(name),
        pairs=pairs.get(name),
        latency=seen.latency,
        cost_per_1000=seen.traffic.cost_per_1000,
        escalation_rate=seen.traffic.escalation_rate,
        error_rate=seen.traffic.error_rate,
        stopped=stopped.get(name),
    )
