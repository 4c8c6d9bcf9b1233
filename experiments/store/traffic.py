"""What each variant received and what it took: counts, rates, quantiles."""

from __future__ import annotations

from sqlalchemy import Connection, case, func, select

from ..statistics.report import VariantTraffic
from .observations import FIRST_ERROR, Scope, crossed, served
from .schema import exposures


def traffic(connection: Connection, scope: Scope) -> dict[str, VariantTraffic]:
    """What each variant received. The check of the sample ratio counts its units."""
    e = exposures.c
    found = connection.execute(
        select(
            e.variant,
            func.count(e.unit.distinct()),
            func.count(),
            func.sum(e.texts),
            func.count(case((e.status >= FIRST_ERROR, 1))),
            func.sum(e.escalations),
            func.sum(e.cost),
        )
        .where(served(scope))
        .group_by(e.variant)
    )
    return {variant: VariantTraffic(*numbers) for variant, *numbers in found}


def crossed_units(connection: Connection, scope: Scope) -> int:
    """Units that met two variants, and are in no comparison."""
    units = select(func.count()).select_from(crossed(scope).subquery())
    return connection.scalars(units).one()


def latency_at(connection: Connection, scope: Scope, variant: str, rank: int) -> float:
    """The seconds of rank 1 and up among a variant's answered requests, in ascending order."""
    e = exposures.c
    mine = select(e.latency_seconds).where(
        served(scope), e.status < FIRST_ERROR, e.variant == variant
    )
    one = mine.order_by(e.latency_seconds).offset(rank - 1).limit(1)
    return float(connection.scalars(one).one())
