"""The way of every protocol from inputs to answers: variant, service, record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import cast

from starlette.requests import Request

from ...experiments.assignment import Assignment
from ...experiments.definition import Source, Unit, Variant
from ...experiments.exposures import ExposureContext, RequestResult, counterfactual_arm, exposures
from ...experiments.records import LARGEST, Exposure, is_unit
from ...experiments.runtime import Experiments
from ...experiments.secrets import is_secret
from ..errors import STATUS, Reason, RequestError
from ..http.request_headers import header
from ..http.route import reloader_of, service_of, while_connected
from ..telemetry.requests import REQUEST_ID
from .constraints import RequestConstraints
from .policies import AUTO
from .requests import Answers, Inputs
from .service import Service

COVARIATE = "x-nestling-covariate"
"""Header: what was known of the unit before the experiment, a number."""


def experiments_of(request: Request) -> Experiments | None:
    """What runs; None if this server keeps no record."""
    return cast("Experiments | None", request.app.state.experiments)


async def answer(
    request: Request, inputs: Inputs, contract: RequestConstraints, user: str | None = None
) -> Answers:
    """One decision per text, in order, by the variants that the request's unit has got.

    Who names a student or a cascade gets it; experiments are for those who ask for `auto`. user:
    the body's own. Raises what `Service.answer` raises.
    """
    service, experiments = service_of(request), experiments_of(request)
    if experiments is None or contract.model != AUTO:
        return await while_connected(request, service.answer(inputs, contract))
    request_id = REQUEST_ID.get()

    def unit_of(unit: Unit) -> str | None:
        match unit.source:
            case Source.REQUEST:
                found: str | None = request_id
            case Source.USER:
                found = user
            case Source.HEADER:
                # An earlier version let secret ones be declared; those are recorded no more.
                named = unit.header if unit.header and not is_secret(unit.header) else None
                found = header(request, named) if named else None
        return found if is_unit(found) else None

    assignments = experiments.assign(unit_of)
    if not assignments:
        return await while_connected(request, service.answer(inputs, contract))
    now = experiments.clock.now()
    met = ExposureContext(request_id, now, assignments, _covariate(request))
    variants = [each.variant for each in assignments]
    service = _service_by(request, variants)
    labels, price = service.manifest.architecture.labels, service.price_per_second
    started, status, answers = perf_counter(), STATUS[Reason.INTERNAL], None
    try:
        with service.using():
            work = service.answer(inputs, _by(variants, contract))
            answers = await while_connected(request, work)
        status = 200
    except RequestError as error:
        status = error.status
        raise
    finally:
        ended = RequestResult(status, perf_counter() - started, len(inputs), answers)
        experiments.record(exposures(met, ended, labels, price))
    for decision in answers.decisions:
        decision.variants = {each.experiment: each.variant.name for each in assignments}
    for assignment in assignments:
        if assignment.other is not None and not service.browned_out:
            others = [each.variant for each in assignments if each is not assignment]
            others.append(assignment.other)
            second = _service_by(request, others)
            later = _second_arm(second, met, assignment, inputs, _by(others, contract))
            experiments.later(later)
    return answers


async def _second_arm(
    service: Service,
    met: ExposureContext,
    assignment: Assignment,
    inputs: Inputs,
    contract: RequestConstraints,
) -> list[Exposure]:
    """Ask the pair's other variant, when nobody waits."""
    unhurried = replace(contract, deadline=float("inf"), shadow=True)
    started = perf_counter()
    with service.using():
        answers = await service.answer(inputs, unhurried)
    ended = RequestResult(200, perf_counter() - started, len(inputs), answers)
    labels, price = service.manifest.architecture.labels, service.price_per_second
    return [counterfactual_arm(met, assignment, ended, labels, price)]


def _service_by(request: Request, variants: Sequence[Variant]) -> Service:
    """The one of the runner that a variant pins, if any does."""
    pinned = reloader_of(request).pinned
    runners = (variant.runner for variant in variants if variant.runner in pinned)
    return pinned.get(next(runners, None) or "", service_of(request))


def _by(variants: Sequence[Variant], contract: RequestConstraints) -> RequestConstraints:
    """The contract under variants, each of which decides something else."""
    for variant in variants:
        if variant.policy is not None:
            contract = replace(contract, model=variant.policy)
        if variant.thresholds is not None:
            contract = replace(contract, thresholds=variant.thresholds)
    return contract


def _covariate(request: Request) -> float | None:
    given = header(request, COVARIATE)
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
