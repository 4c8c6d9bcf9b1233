"""From the record to the report: the database sums up, the statistics judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from .definition import Experiment, Guardrail
from .statistics.guardrails import Violation, violation
from .statistics.mean import mean_interval
from .statistics.missing import levels
from .statistics.mixture import Mixture
from .statistics.quantiles import Quantile, quantile
from .statistics.report import Report, VariantObservations, VariantTraffic, report
from .statistics.summary import Joint
from .store.comparison import MetricSummary, moments, paired, series
from .store.coverage import coverage
from .store.observations import Scope
from .store.traffic import crossed_units, latency_at, traffic

GRACE = timedelta(days=7)
"""How long outcomes still count after an experiment has ended."""
QUANTILES = (0.5, 0.95, 0.99)


def scope_of(experiment: Experiment) -> Scope:
    """The present phase of an experiment, and until when its outcomes count."""
    deadline = experiment.end + GRACE if experiment.end else None
    return Scope(experiment.name, experiment.phase, deadline)


@dataclass(frozen=True)
class Analysis:
    """report: of the present phase. series: how its means and intervals became what they are.

    crossed: units that met two variants, and are in no comparison.
    """

    report: Report
    series: list[dict[str, Any]]
    crossed: int


def analyse(connection: Connection, experiment: Experiment, stopped: Mapping[str, str]) -> Analysis:
    """The report, with its history. stopped: why each stopped variant was."""
    scope = scope_of(experiment)
    return Analysis(
        report_of(connection, experiment, stopped),
        _series(connection, experiment, scope),
        crossed_units(connection, scope),
    )


def report_of(connection: Connection, experiment: Experiment, stopped: Mapping[str, str]) -> Report:
    """All numbers of the present phase. stopped: why each stopped variant was."""
    scope, name = scope_of(experiment), experiment.primary.name
    counts = traffic(connection, scope)
    values = moments(connection, scope, name)
    pairs = _pairs(connection, experiment, scope)
    seen_of = {
        metric: coverage(connection, scope, metric, experiment.planned_units, name)
        for metric in levels(experiment)
    }
    observed = {}
    for variant in experiment.variants:
        seen = counts.get(variant.name, VariantTraffic())
        measured = values.get(variant.name, MetricSummary())
        observed[variant.name] = VariantObservations(
            seen,
            measured.units,
            measured.covaried,
            pairs if variant in experiment.treatments else Joint(),
            _latency(connection, scope, variant.name, seen, experiment.confidence),
            {m: by[variant.name] for m, by in seen_of.items() if variant.name in by},
        )
    return report(experiment, observed, stopped)


def violations(
    connection: Connection, experiment: Experiment, stopped: Mapping[str, str]
) -> list[Violation]:
    """Guardrails that a variant violates which is not stopped yet; at most one for each variant."""
    scope, control = scope_of(experiment), experiment.control.name
    found: dict[str, Violation] = {}
    for guardrail in experiment.guardrails:
        summaries = moments(connection, scope, *_watched(guardrail))
        units = {v.name: summaries.get(v.name, MetricSummary()).units for v in experiment.variants}
        for variant, theirs in units.items():
            if variant in stopped or variant in found:
                continue
            if variant == control and guardrail.limit is None:
                continue
            if violated := violation(guardrail, variant, theirs, units[control]):
                found[variant] = violated
    return list(found.values())


def _watched(guardrail: Guardrail) -> tuple[str, float | None]:
    """The metric, and the limit above which a unit's observations are counted, if they are."""
    metric = guardrail.metric
    return metric.metric.name, guardrail.limit if metric.quantile else None


def _pairs(connection: Connection, experiment: Experiment, scope: Scope) -> Joint:
    """The treatment's values beside control's, of units that both answered."""
    if not experiment.compares_pairs:
        return Joint()
    [treatment] = experiment.treatments
    arms = (treatment.name, experiment.control.name)
    return paired(connection, scope, experiment.primary.name, arms)


def _series(connection: Connection, experiment: Experiment, scope: Scope) -> list[dict[str, Any]]:
    kind = experiment.primary.kind
    best_at = experiment.planned_units / len(experiment.variants)
    mixture = Mixture(1 - experiment.confidence, best_at)
    line = []
    for point in series(connection, scope, experiment.primary.name):
        variants = {}
        for name, measured in point.variants.items():
            interval = mean_interval(measured.units, kind, mixture)
            variants[name] = {
                "n": measured.units.n,
                "mean": measured.units.mean,
                "low": interval.low if interval else None,
                "high": interval.high if interval else None,
            }
        line.append({"at": point.at, "variants": variants})
    return line


def _latency(
    connection: Connection, scope: Scope, variant: str, seen: VariantTraffic, confidence: float
) -> tuple[Quantile, ...]:
    def value_at(rank: int) -> float:
        return 1000 * latency_at(connection, scope, variant, rank)

    answered = seen.requests - seen.errors
    found = (quantile(p, answered, value_at, 1 - confidence) for p in QUANTILES)
    return tuple(each for each in found if each is not None)


def deadlines(experiments: Mapping[str, Experiment], now: datetime) -> dict[str, datetime]:
    """Until when outcomes count, by experiment, of those that have ended."""
    return {
        name: experiment.end + GRACE
        for name, experiment in experiments.items()
        if experiment.end and experiment.end <= now
    }
