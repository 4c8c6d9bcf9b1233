"""How much has been seen of what was to be seen: of each unit's requests, those with an outcome,
those that were answered, those of a pair that both variants answered.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    func,
    null,
    select,
)

from ..metrics import MEASURED
from ..statistics.attrition import looks
from ..statistics.missing import FAILURES, PAIRS, Coverage
from ..statistics.summary import Summary
from .observations import ACCURACY, FIRST_ERROR, Scope, counted, of_units, served
from .schema import exposures, outcomes


def coverage(
    connection: Connection, scope: Scope, metric: str, planned: int, pairs_of: str | None = None
) -> dict[str, Coverage]:
    """Of each variant at the last look. Nothing before the first observation.

    metric: FAILURES, of requests that were answered; PAIRS, of those that are meant for a pair and
    have the metric `pairs_of` under both variants; any other, of those for which, or for whose
    unit, it was reported. planned: units, of the experiment.
    """
    requests = _requests(scope, metric, pairs_of)
    until = _last_look(connection, requests, planned)
    if until is None:
        return {}
    r = requests.c
    seen = case((r.seen <= until, 1.0), else_=0.0)
    units = (
        select(
            func.min(r.variant).label("variant"),
            func.avg(seen).label("share"),
            func.count().label("requests"),
            func.sum(seen).label("observed"),
        )
        .where(r.at <= until)
        .group_by(r.unit)
        .subquery()
    )
    u = units.c
    found = connection.execute(
        select(
            u.variant,
            func.count(),
            func.sum(u.share),
            func.sum(u.share * u.share),
            func.sum(u.requests),
            func.sum(u.observed),
        ).group_by(u.variant)
    )
    return {
        variant: Coverage(
            Summary(n, total / n, max(0.0, squares - total * total / n)),
            int(requests),
            round(observed),
        )
        for variant, n, total, squares, requests, observed in found
    }


def _last_look(connection: Connection, requests: CTE, planned: int) -> int | None:
    """When it was taken, in microseconds."""
    seen = requests.c.seen
    place = func.row_number(type_=BigInteger).over(order_by=seen).label("place")
    ordered = select(seen, place).where(seen.is_not(None)).subquery().c
    reached = select(ordered.seen).where(ordered.place.in_(looks(planned)))
    return connection.scalars(reached.order_by(ordered.place.desc()).limit(1)).first()


def _requests(scope: Scope, metric: str, pairs_of: str | None) -> CTE:
    """Requests that were served: unit, variant, at, and seen, in microseconds, or null."""
    e = exposures.c
    if metric == FAILURES:
        seen = case((e.status < FIRST_ERROR, e.at), else_=null())
        chosen = select(e.unit, e.variant, e.at, seen.label("seen")).where(served(scope))
        return chosen.cte("requests")
    if metric == PAIRS:
        return _paired_requests(scope, pairs_of)
    mine = and_(outcomes.c.request_id == e.request_id, counted(scope, metric))
    own = (
        _reported()
        .select_from(exposures.outerjoin(outcomes, mine))
        .where(served(scope))
        .group_by(e.request_id, e.unit, e.variant, e.at)
    )
    if metric in MEASURED:
        return own.cte("requests")
    of_request = own.subquery().c
    reported = of_units(scope, metric).subquery().c
    first = select(reported.unit, func.min(reported.received).label("seen")).group_by(reported.unit)
    unit = first.subquery()
    first_of_both = case(
        (unit.c.seen.is_(None), of_request.seen),
        (of_request.seen <= unit.c.seen, of_request.seen),
        (unit.c.seen < of_request.at, of_request.at),
        else_=unit.c.seen,
    )
    return (
        select(of_request.unit, of_request.variant, of_request.at, first_of_both.label("seen"))
        .outerjoin(unit, unit.c.unit == of_request.unit)
        .cte("requests")
    )


def _paired_requests(scope: Scope, pairs_of: str | None) -> CTE:
    """The other variant answers at once, so that a pair is seen with its request, or its label."""
    e, other = exposures.c, exposures.alias("other")
    both = and_(
        other.c.request_id == e.request_id,
        other.c.experiment == e.experiment,
        other.c.served.is_(False),
        other.c.status < FIRST_ERROR,
        e.status < FIRST_ERROR,
    )
    joined = exposures.outerjoin(other, both)
    there = other.c.request_id.is_not(None)
    if pairs_of != ACCURACY:
        seen = case((there, e.at), else_=null())
        chosen = select(e.unit, e.variant, e.at, seen.label("seen")).select_from(joined)
        return chosen.where(served(scope), e.paired).cte("requests")
    mine = and_(outcomes.c.request_id == e.request_id, counted(scope, ACCURACY), there)
    return (
        _reported()
        .select_from(joined.outerjoin(outcomes, mine))
        .where(served(scope), e.paired)
        .group_by(e.request_id, e.unit, e.variant, e.at)
        .cte("requests")
    )


def _reported() -> Select[Any]:
    """seen: when the first outcome that is joined came, but not before its request."""
    e = exposures.c
    first: ColumnElement[int] = func.min(outcomes.c.received)
    seen = case((first < e.at, e.at), else_=first)
    return select(e.unit, e.variant, e.at, seen.label("seen"))
