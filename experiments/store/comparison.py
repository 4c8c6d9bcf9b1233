"""A metric of each variant over units, computed by the database without cancellation.

Two passes in one statement: each variant's mean first, then sums of deviations from it, corrected
for the mean of a part (Chan, Golub and LeVeque 1983, eq. 1.7).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from math import sqrt

from sqlalchemy import CTE, ColumnElement, Connection, and_, case, func, literal, select

from ..statistics.summary import Joint, Summary
from .observations import (
    ACCURACY,
    FIRST_ERROR,
    Scope,
    check_paired,
    counted,
    in_phase,
    is_measured,
    is_own,
    measured_value,
    outcome_value,
    per_unit,
)
from .schema import exposures, outcomes, time_of

POINTS = 100


@dataclass(frozen=True)
class MetricSummary:
    """A metric of one variant. units: of all that have it. covaried: where there is a covariate."""

    units: Summary = field(default_factory=Summary)
    covaried: Joint = field(default_factory=Joint)

    def merge(self, other: MetricSummary) -> MetricSummary:
        """Of both sets of units."""
        return MetricSummary(self.units.merge(other.units), self.covaried.merge(other.covaried))


@dataclass(frozen=True)
class SeriesPoint:
    """Every variant's metric over the units that were first seen up to a time."""

    at: datetime
    variants: dict[str, MetricSummary]


def moments(
    connection: Connection, scope: Scope, metric: str, above: float | None = None
) -> dict[str, MetricSummary]:
    """A metric of each variant. Variants without a unit that has the metric are not there.

    above: take the share of a unit's observations above this limit, in place of their mean.
    """
    parts = _sums(connection, per_unit(scope, metric, above), literal(0))
    return {variant: part for (_, variant), part in parts.items()}


def series(
    connection: Connection, scope: Scope, metric: str, points: int = POINTS
) -> list[SeriesPoint]:
    """At most `points` times between the first unit and the last, with what had come until then.

    A unit counts from its first exposure on, with its value of today: each is one step of the
    sequence, as anytime-valid intervals want it, and where values have moved since, the line is not
    the one that was seen then.
    """
    e = exposures.c
    begin, end = connection.execute(
        select(func.min(e.at), func.max(e.at)).where(in_phase(scope), e.served)
    ).one()
    if begin is None:
        return []
    width = (end - begin) // points + 1
    units = per_unit(scope, metric)
    parts = _sums(connection, units, (units.c.first - begin) // width)
    so_far: dict[str, MetricSummary] = {}
    line = []
    for bucket in sorted({bucket for bucket, _ in parts}):
        for (other, variant), part in parts.items():
            if other == bucket:
                so_far[variant] = so_far.get(variant, MetricSummary()).merge(part)
        line.append(SeriesPoint(time_of(min(begin + (bucket + 1) * width, end)), dict(so_far)))
    return line


def paired(connection: Connection, scope: Scope, metric: str, arms: tuple[str, str]) -> Joint:
    """Units whose requests both arms answered: outcome is the mean of a unit's requests under the
    first arm, covariate under the second. Raises ValueError for a metric of the served arm alone.
    """
    check_paired(metric)
    a, b = exposures.alias("a"), exposures.alias("b")
    both = and_(
        in_phase(scope, a),
        a.c.paired,
        b.c.paired,
        a.c.variant == arms[0],
        b.c.variant == arms[1],
        a.c.status < FIRST_ERROR,
        b.c.status < FIRST_ERROR,
    )
    joined = a.join(b, and_(a.c.request_id == b.c.request_id, a.c.experiment == b.c.experiment))
    if is_own(metric):
        y, x = measured_value(a, metric), measured_value(b, metric)
        have = and_(is_measured(a, metric), is_measured(b, metric))
    else:
        y, x = outcome_value(a, ACCURACY), outcome_value(b, ACCURACY)
        joined = joined.join(outcomes, outcomes.c.request_id == a.c.request_id)
        have = counted(scope, ACCURACY)
    rows = select(a.c.unit, y.label("y"), x.label("x")).select_from(joined).where(both, have)
    r = rows.subquery().c
    units = (
        select(
            literal("").label("variant"),
            func.avg(r.y).label("y"),
            func.avg(r.x).label("x"),
        )
        .group_by(r.unit)
        .cte("units")
    )
    parts = _sums(connection, units, literal(0))
    return parts.get((0, ""), MetricSummary()).covaried


Parts = dict[tuple[int, str], MetricSummary]
"""By bucket of time and variant."""


def _sums(connection: Connection, units: CTE, bucket: ColumnElement[int]) -> Parts:
    """Of rows with the columns variant, y, and x, which may be null."""
    u = units.c
    means = (
        select(u.variant, func.avg(u.y).label("y"), func.avg(u.x).label("x"))
        .group_by(u.variant)
        .cte("means")
    )
    m = means.c
    y, x = u.y - m.y, u.x - m.x
    yx = case((u.x.is_not(None), y))
    number = bucket.label("bucket")
    found = connection.execute(
        select(
            number,
            u.variant,
            func.max(m.y),
            func.max(m.x),
            func.count(y),
            func.sum(y),
            func.sum(y * y),
            func.count(x),
            func.sum(yx),
            func.sum(yx * yx),
            func.sum(x),
            func.sum(x * x),
            func.sum(yx * x),
        )
        .where(u.variant == m.variant)
        .group_by(number, u.variant)
    )
    parts = {}
    for at, variant, mean_y, mean_x, n, sy, syy, n_x, syx, syyx, sx, sxx, sxy in found:
        covaried = Joint()
        if n_x:
            outcome = _corrected(n_x, mean_y, syx, syyx)
            covariate = _corrected(n_x, mean_x, sx, sxx)
            most = sqrt(outcome.m2) * sqrt(covariate.m2)  # which rounding may exceed
            cross = max(-most, min(most, sxy - syx * sx / n_x))
            covaried = Joint(outcome, covariate, cross)
        parts[at, variant] = MetricSummary(_corrected(n, mean_y, sy, syy), covaried)
    return parts


def _corrected(n: int, shift: float, deviations: float, squares: float) -> Summary:
    return Summary(n, shift + deviations / n, max(0.0, squares - deviations * deviations / n))
