"""`/v1/experiments`: what runs, what is declared, what the numbers say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from .....experiments.declaration import Declaration
from .....experiments.definition import BUCKETS, Experiment
from .....experiments.errors import DeclarationError, PlanMovedError, StoreError
from .....experiments.json_text import key_twice
from .....models.json_checks import kind
from .....models.nearest import in_words, listing
from ....errors import Reason, RequestError
from ...body import parse_json, read_body
from ...errors import NATIVE, READING
from ...openapi import json_shown, path_parameters, request_body
from ...route import ControlRoute, inference_of, json_response, service_of

if TYPE_CHECKING:
    from .....experiments.runtime import Experiments  # with all of the database

router = APIRouter(route_class=ControlRoute, tags=["Experiments"])
EXAMPLE = {
    "experiments": [
        {
            "name": "smaller-cascade",
            "unit": "user",
            "start": "2026-01-01T00:00:00Z",
            "variants": [
                {"name": "control", "weight": 1, "policy": "auto"},
                {"name": "tiny", "weight": 1, "policy": "tiny"},
            ],
            "primary": {"metric": "accuracy", "smallest_effect": 0.005},
        }
    ]
}
COMMON = (
    Reason.NOT_FOUND,
    Reason.UNAUTHORISED,
    Reason.STORE_UNAVAILABLE,
    Reason.INTERNAL,
)


@router.get(
    "/v1/experiments",
    summary="All experiments",
    response_model=None,
    responses={
        200: json_shown({"version": 1, "declared": EXAMPLE, "experiments": []}),
        **NATIVE.documented(*COMMON),
    },
)
async def listed(request: Request) -> Response:
    """What is declared, and where each experiment stands."""
    experiments = required(request)
    return json_response(
        {
            "version": experiments.version,
            "declared": experiments.declared,
            "experiments": [_described(experiments, each) for each in experiments.plan.experiments],
        }
    )


@router.put(
    "/v1/experiments",
    summary="Declare all experiments",
    response_model=None,
    responses={
        200: json_shown({"version": 1, "changes": [{"name": "smaller-cascade", "words": []}]}),
        **NATIVE.documented(
            *COMMON,
            *READING,
            Reason.INVALID_DECLARATION,
            Reason.PLAN_MOVED,
            Reason.FORBIDDEN,
        ),
    },
    openapi_extra=request_body(Declaration, EXAMPLE),
)
async def declare(request: Request) -> Response:
    """The whole declaration, as the file has it; taken whole or not at all. For administrators."""
    experiments = required(request)
    content = await read_body(request, service_of(request).settings.max_body_bytes)
    body = parse_json(content, '{"experiments": []}')
    if twice := key_twice(content.decode()):
        problem = f"line {twice[1]}: {twice[0]!r} is there twice"
        raise RequestError(Reason.INVALID_DECLARATION, problem, problems=[problem])
    if not isinstance(body, dict):
        message = f"expected an object, got {kind(body)}"
        raise RequestError(Reason.WRONG_TYPE, message, "the declaration")
    try:
        steps = await experiments.declare(body)
    except DeclarationError as error:
        raise RequestError(
            Reason.INVALID_DECLARATION, str(error), problems=[str(each) for each in error.problems]
        ) from None
    except PlanMovedError:
        raise RequestError(
            Reason.PLAN_MOVED, "another declaration came first: read what holds now, and try again"
        ) from None
    except StoreError as error:
        raise unavailable(error) from error
    changes = [
        {"name": step.name, "words": step.words, "phase": step.phase.name if step.phase else None}
        for step in steps
    ]
    return json_response({"version": experiments.version, "changes": changes})


@router.get(
    "/v1/experiments/{name}",
    summary="An experiment's numbers and verdict",
    response_model=None,
    responses={
        200: json_shown({"experiment": "smaller-cascade", "phase": "first", "variants": []}),
        **NATIVE.documented(*COMMON),
    },
    openapi_extra=path_parameters(name="smaller-cascade"),
)
async def report(request: Request) -> Response:
    """All numbers of its present phase; they hold whenever they are looked at."""
    experiments, name = required(request), request.path_params["name"]
    if name not in experiments.plan.by_name:
        known = sorted(experiments.plan.by_name)
        of = in_words(name, known) or "none"
        raise RequestError(
            Reason.NOT_FOUND, f"{name[:64]!r} is none of {of}", known=listing(name, known)
        )
    try:
        found = await experiments.report(name)
    except StoreError as error:
        raise unavailable(error) from error
    return json_response({**vars(found.report), "series": found.series, "crossed": found.crossed})


def required(request: Request) -> Experiments:
    """Raises RequestError where this server keeps no record."""
    experiments = inference_of(request).experiments
    if experiments is None:
        raise RequestError(
            Reason.NOT_FOUND, "experiments are off; start with --experiments FILE or --store URL"
        )
    return experiments


def unavailable(error: StoreError) -> RequestError:
    """The database does not answer."""
    return RequestError(Reason.STORE_UNAVAILABLE, str(error), headers={"Retry-After": "5"})


def _described(experiments: Experiments, experiment: Experiment) -> dict[str, Any]:
    now, stopped = experiments.clock.now(), experiments.why_stopped(experiment)
    state = "waiting"
    if experiment.started(now):
        state = "ended" if experiment.ended(now) else "running"
    return {
        "name": experiment.name,
        "phase": experiment.phase,
        "state": state,
        "unit": str(experiment.unit),
        "layer": experiment.layer.name,
        "enrolled": experiment.enrolled / BUCKETS,
        "start": experiment.start,
        "end": experiment.end,
        "primary": experiment.primary,
        "smallest_effect": experiment.smallest_effect,
        "variants": [
            {**vars(variant), "stopped": stopped.get(variant.name)}
            for variant in experiment.variants
        ],
    }
