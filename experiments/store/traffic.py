"""What each variant received and what it took: counts, rates, quantiles."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select, true

from .observations import FIRST_ERROR, Scope, crossed, served
from .schema import exposures, microseconds, outcomes

QUANTILES = (50, 95, 99)


@dataclass(frozen=True)
class VariantTraffic:
    """Of one variant, without crossed units. escalations: of all texts, each time one is passed on.

    cost: money. relative_cost: summed over texts. errors: requests with a status from 400.
    """

    units: int
    requests: int
    texts: int
    errors: int
    escalations: int
    cost: float
    relative_cost: float

    @property
    def error_rate(self) -> float:
        """Per request."""
        return self.errors / self.requests

    @property
    def escalation_rate(self) -> float:
        """Per text."""
        return self.escalations / max(1, self.texts)

    @property
    def cost_per_thousand(self) -> float:
        """Money per 1,000 requests."""
        return 1000 * self.cost / self.requests


@dataclass(frozen=True)
class Latency:
    """Of answered requests, in seconds: the least that so many percent do not exceed."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Arrivals:
    """Outcomes of one metric for requests or units of an experiment, in any phase."""

    counted: int
    late: int


def traffic(connection: Connection, scope: Scope) -> dict[str, VariantTraffic]:
    """By variant; its units are what the check of the sample ratio counts."""
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
            func.sum(e.relative_cost),
        )
        .where(served(scope))
        .group_by(e.variant)
    )
    return {variant: VariantTraffic(*numbers) for variant, *numbers in found}


def crossed_units(connection: Connection, scope: Scope) -> int:
    """Units that met two variants, and are in no comparison."""
    units = select(func.count()).select_from(crossed(scope).subquery())
    return connection.scalars(units).one()


def latencies(connection: Connection, scope: Scope) -> dict[str, Latency]:
    """By variant, exactly: all latencies are sorted."""
    e = exposures.c
    ranked = (
        select(
            e.variant,
            e.latency_seconds.label("seconds"),
            func.row_number()
            .over(partition_by=e.variant, order_by=e.latency_seconds)
            .label("rank"),
            func.count().over(partition_by=e.variant).label("n"),
        )
        .where(served(scope), e.status < FIRST_ERROR)
        .subquery()
    )
    r = ranked.c
    ranks = [(r.n * percent + 99) // 100 for percent in QUANTILES]
    # The smallest at or after a rank is the one at the rank, also where several ranks coincide.
    picked = [func.min(case((r.rank >= rank, r.seconds))) for rank in ranks]
    found = connection.execute(select(r.variant, *picked).group_by(r.variant))
    return {variant: Latency(*seconds) for variant, *seconds in found}


def latency_at(connection: Connection, scope: Scope, variant: str, rank: int) -> float:
    """The seconds of rank 1 and up among a variant's answered requests, in ascending order."""
    e = exposures.c
    mine = select(e.latency_seconds).where(
        served(scope), e.status < FIRST_ERROR, e.variant == variant
    )
    one = mine.order_by(e.latency_seconds).offset(rank - 1).limit(1)
    return float(connection.scalars(one).one())


def arrivals(connection: Connection, scope: Scope) -> dict[str, Arrivals]:
    """By metric."""
    e, o = exposures.c, outcomes.c
    requests = select(e.request_id).where(e.experiment == scope.experiment)
    belongs = (o.experiment == scope.experiment) | o.request_id.in_(requests)
    in_time = true() if scope.deadline is None else o.received <= microseconds(scope.deadline)
    found = connection.execute(
        select(o.metric, func.count(case((in_time, 1))), func.count(case((~in_time, 1))))
        .where(belongs)
        .group_by(o.metric)
    )
    return {metric: Arrivals(counted, late) for metric, counted, late in found}


def pending(connection: Connection) -> int:
    """Outcomes whose request or unit was not seen so far."""
    e, o = exposures.c, outcomes.c
    request = select(e.request_id).where(e.request_id == o.request_id).exists()
    unit = select(e.unit).where(e.experiment == o.experiment, e.unit == o.unit).exists()
    return connection.scalars(
        select(func.count()).select_from(outcomes).where(~request, ~unit)
    ).one()
