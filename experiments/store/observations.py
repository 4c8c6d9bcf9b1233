"""Which rows a comparison is about, as parts of SQL statements that both databases understand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Double,
    FromClause,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from ..metrics import MEASURED
from ..records import LABEL
from .schema import exposures, microseconds, outcomes

ACCURACY = "accuracy"
"""1 where a request's answer was the label that came for it, else 0."""
FIRST_ERROR = 400
"""HTTP status from which a request counts as not answered."""


@dataclass(frozen=True)
class Scope:
    """One phase of an experiment. deadline: outcomes received later do not count."""

    experiment: str
    phase: str
    deadline: datetime | None = None


def in_phase(scope: Scope, table: FromClause = exposures) -> ColumnElement[bool]:
    """All exposures of the phase."""
    return and_(table.c.experiment == scope.experiment, table.c.phase == scope.phase)


def crossed(scope: Scope) -> Select[tuple[str]]:
    """Units that met two variants in this phase."""
    e = exposures.c
    return (
        select(e.unit)
        .where(in_phase(scope), e.served)
        .group_by(e.unit)
        .having(func.min(e.variant) != func.max(e.variant))
    )


def served(scope: Scope) -> ColumnElement[bool]:
    """Exposures whose answer went to the client, without crossed units."""
    e = exposures.c
    return and_(in_phase(scope), e.served, e.unit.not_in(crossed(scope)))


def per_unit(scope: Scope, metric: str, above: float | None = None) -> CTE:
    """One row for each unit that has the metric: variant, first, y and x.

    metric: `accuracy`, by the labels that came; one that the server measures; or any other that
    outcomes brought, for a request or for a unit. first: its first exposure, in microseconds. y:
    the mean of its observations, or the share of them that are above a limit. x: the covariate at
    its first exposure, or null.

    One pass, grouped by unit; a join of units SQLite would make row by row.
    """
    e = exposures.c
    exposed: FromClause = exposures
    if is_own(metric):
        value = case((is_measured(exposures, metric), measured_value(exposures, metric)))
    else:
        mine = and_(outcomes.c.request_id == e.request_id, counted(scope, metric))
        exposed = exposures.outerjoin(outcomes, mine)
        value = case((outcomes.c.id.is_not(None), outcome_value(exposures, metric)))
    place = func.row_number().over(partition_by=e.unit, order_by=(e.at, e.request_id))
    observed: Select[Any] | CompoundSelect[Any] = (
        select(
            e.unit,
            e.variant,
            e.at,
            e.covariate,
            value.label("value"),
            place.label("place"),
        )
        .select_from(exposed)
        .where(served(scope))
    )
    if metric not in MEASURED:
        reported = of_units(scope, metric).subquery().c
        observed = union_all(
            observed,
            select(
                reported.unit,
                null().label("variant"),
                null().label("at"),
                null().label("covariate"),
                reported.number.label("value"),
                null().label("place"),
            ),
        )
    o = observed.subquery().c
    value_of = o.value if above is None else case((o.value > above, 1.0), (o.value <= above, 0.0))
    return (
        select(
            func.min(o.variant).label("variant"),
            func.min(o.at).label("first"),
            func.avg(value_of).label("y"),
            func.max(case((o.place == 1, o.covariate))).label("x"),
        )
        .group_by(o.unit)
        .having(func.count(o.variant) > 0, func.count(o.value) > 0)
        .cte("per_unit")
    )


def is_own(metric: str) -> bool:
    """Whether the server measures it without an outcome."""
    return metric in MEASURED and metric != ACCURACY


def measured_value(table: FromClause, metric: str) -> ColumnElement[Any]:
    """A metric that the server measures, of one request."""
    c = table.c
    if metric == "error_rate":
        return case((c.status >= FIRST_ERROR, 1.0), else_=0.0)
    if metric == "latency_ms":
        return 1000 * c.latency_seconds
    if metric == "escalations":
        return cast(c.escalations, Double)
    if metric == "relative_cost":  # the mean over the texts of the request
        return c.relative_cost / case((c.texts > 0, c.texts), else_=1)
    return c[metric]


def is_measured(table: FromClause, metric: str) -> ColumnElement[bool]:
    """Whether a request has a value: one that failed has an error and nothing else to compare."""
    if metric == "error_rate":
        return literal(True)
    return and_(table.c.status < FIRST_ERROR, measured_value(table, metric).is_not(None))


def outcome_value(table: FromClause, metric: str) -> ColumnElement[Any]:
    """The value of an outcome that is joined to an exposure in `table`."""
    if metric == ACCURACY:
        return case((outcomes.c.label == table.c.label, 1.0), else_=0.0)
    return outcomes.c.number


def counted(scope: Scope, metric: str) -> ColumnElement[bool]:
    """Outcomes of a metric that came in time."""
    in_time = outcomes.c.metric == (LABEL if metric == ACCURACY else metric)
    if scope.deadline is None:
        return in_time
    return and_(in_time, outcomes.c.received <= microseconds(scope.deadline))


def check_paired(metric: str) -> None:
    """Raises ValueError for a metric that is not each arm's own."""
    if metric not in MEASURED:
        raise ValueError(
            f"metric: {metric!r} is of the answer that was served; both arms have "
            f"{', '.join(MEASURED)}"
        )


def of_units(scope: Scope, metric: str) -> Select[tuple[str, float, int]]:
    """Outcomes of units: unit, number, received. They count in the phase that the unit had last
    entered when they came.
    """
    e, o = exposures.c, outcomes.c
    ours = and_(o.experiment == scope.experiment, counted(scope, metric))
    entered = (
        select(e.unit, e.phase, func.min(e.at).label("at"))
        .where(e.experiment == scope.experiment, e.served, e.unit.in_(select(o.unit).where(ours)))
        .group_by(e.unit, e.phase)
        .subquery()
    )
    at = entered.c.at
    by_phase: dict[str, Any] = {"partition_by": entered.c.unit, "order_by": at}
    # The first phase also takes what came before: clocks of replicas differ.
    is_first = func.lag(at).over(**by_phase).is_(None)
    spans = select(
        entered.c.unit,
        entered.c.phase,
        case((is_first, 0), else_=at).label("begin"),
        func.lead(at).over(**by_phase).label("end"),
    ).subquery()
    s = spans.c
    return (
        select(o.unit, o.number, o.received)
        .join(spans, s.unit == o.unit)
        .where(
            ours,
            s.phase == scope.phase,
            o.received >= s.begin,
            or_(s.end.is_(None), o.received < s.end),
        )
    )
