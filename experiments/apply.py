"""From one declaration to the next, on behalf of all replicas of a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine

from .definition import ExperimentPlan, RampPhase
from .diff import Change, changes
from .field_checks import Known
from .parsing import parse
from .store.database import transaction
from .store.plans import StoredPlan, latest_plan, save_plan

EMPTY = ExperimentPlan()


def declare(
    engine: Engine, declared: object, known: Known, now: datetime
) -> tuple[StoredPlan, Sequence[Change]]:
    """Have a declaration hold, whole or not at all; nothing is written where nothing changes.

    Raises DeclarationError, StoreError, PlanMovedError.
    """
    with transaction(engine) as connection:
        before = latest_plan(connection)
    old, plan = plan_of(before), parse(declared, known)
    if declared == before.declared:
        return before, ()
    steps = changes(old, plan, now, before.phases)
    begun: dict[str, Sequence[RampPhase]] = dict(before.phases)
    for step in steps:
        if step.phase:
            earlier = old.by_name.get(step.name)
            kept = begun.get(step.name, ()) if earlier and earlier.started(now) else ()
            begun[step.name] = [*kept, step.phase]
    stored = StoredPlan(before.version + 1, declared, known.policies, begun)
    save_plan(engine, stored, now)
    return stored, steps


def plan_of(stored: StoredPlan) -> ExperimentPlan:
    """What was declared, as it was understood then."""
    return parse(stored.declared, Known(stored.policies, stored=True)) if stored.version else EMPTY
