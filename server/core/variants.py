"""What the experiments decide about one request: its variants, and its constraints under them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...experiments.assignment import Assignment
from ...experiments.definition import Source, Unit, Variant
from ...experiments.exposures import ExposureContext
from ...experiments.records import LARGEST, is_unit
from ...experiments.secrets import is_secret
from ..errors import Reason, RequestError
from .constraints import RequestConstraints
from .requests import Caller

if TYPE_CHECKING:
    from ...experiments.runtime import Experiments  # with all of the database

COVARIATE = "x-nestling-covariate"
"""Header: what was known of the unit before the experiment, a number."""


def assign(experiments: Experiments, caller: Caller) -> ExposureContext | None:
    """The variants that the caller's units have got; None if it takes part in nothing.

    Raises RequestError for a header that cannot be read.
    """

    def unit_of(unit: Unit) -> str | None:
        match unit.source:
            case Source.REQUEST:
                found: str | None = caller.id
            case Source.USER:
                found = caller.user
            case Source.HEADER:
                # An earlier version let secret ones be declared; those are recorded no more.
                named = unit.header if unit.header and not is_secret(unit.header) else None
                found = caller.header(named) if named else None
        return found if is_unit(found) else None

    assignments = experiments.assign(unit_of)
    if not assignments:
        return None
    return ExposureContext(caller.id, experiments.clock.now(), assignments, _covariate(caller))


def counterfactual(assignments: Iterable[Assignment], pair: Assignment) -> list[Variant]:
    """The variants of a request, with the other one of a pair."""
    others = [each.variant for each in assignments if each is not pair]
    return [*others, *([pair.other] if pair.other else ())]


def constrained(constraints: RequestConstraints, variants: Iterable[Variant]) -> RequestConstraints:
    """The constraints under variants, each of which decides something else."""
    for variant in variants:
        if variant.policy is not None:
            constraints = constraints._replace(model=variant.policy)
        if variant.thresholds is not None:
            constraints = constraints._replace(thresholds=variant.thresholds)
    return constraints


def _covariate(caller: Caller) -> float | None:
    given = caller.header(COVARIATE)
    if given is None:
        return None
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    if not abs(value) <= LARGEST:  # NaN is neither
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"{given[:32]!r} is not a number of at most {LARGEST:g} in magnitude",
            COVARIATE,
        )
    return value
