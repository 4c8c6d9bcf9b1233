"""What is declared, and which variants are stopped: the same for all replicas of one database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from ..definition import RampPhase
from ..errors import PlanMovedError
from .database import transaction
from .schema import insert_new, microseconds, plans, stops, time_of


@dataclass(frozen=True)
class StoredPlan:
    """One declaration. version: counts them, from 1. policies: that were served when it was made,
    by name with their number of thresholds. phases: of each experiment, the present one last.
    """

    version: int
    declared: Any
    policies: Mapping[str, int]
    phases: Mapping[str, Sequence[RampPhase]]


NOTHING = StoredPlan(0, {}, {}, {})
"""What stands before the first declaration."""
Stops = Mapping[tuple[str, str], Mapping[str, str]]
"""Why variants are stopped: by experiment and phase, then by variant."""


def latest_version(connection: Connection) -> int:
    """The number of the plan that holds; 0 if none was declared."""
    version: int = connection.scalars(select(func.coalesce(func.max(plans.c.version), 0))).one()
    return version


def latest_plan(connection: Connection) -> StoredPlan:
    """The plan that holds."""
    found = connection.execute(select(plans).order_by(plans.c.version.desc()).limit(1)).first()
    if found is None:
        return NOTHING
    phases = {
        name: [RampPhase(phase, time_of(since)) for phase, since in listed]
        for name, listed in found.phases.items()
    }
    return StoredPlan(found.version, found.declared, found.policies, phases)


def save_plan(engine: Engine, plan: StoredPlan, at: datetime) -> None:
    """Have a plan hold from now on. Raises PlanMovedError if its version is taken, StoreError."""
    row = {
        "version": plan.version,
        "at": microseconds(at),
        "declared": plan.declared,
        "policies": dict(plan.policies),
        "phases": {
            name: [(phase.name, microseconds(phase.since)) for phase in listed]
            for name, listed in plan.phases.items()
        },
    }
    with transaction(engine) as connection:
        try:
            connection.execute(insert(plans), row)
        except IntegrityError as error:
            raise PlanMovedError from error


def stop(
    connection: Connection, experiment: str, phase: str, variant: str, why: str, at: datetime
) -> None:
    """A variant is stopped, for good; the first reason stands."""
    row = {
        "experiment": experiment,
        "phase": phase,
        "variant": variant,
        "why": why,
        "at": microseconds(at),
    }
    connection.execute(insert_new(connection, stops), row)


def stopped(connection: Connection) -> Stops:
    """All variants that are stopped."""
    by_phase: dict[tuple[str, str], dict[str, str]] = {}
    for row in connection.execute(select(stops)):
        by_phase.setdefault((row.experiment, row.phase), {})[row.variant] = row.why
    return by_phase
