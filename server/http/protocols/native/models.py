"""`GET /v1/models`: what `model` may name, what each costs, what each cascade promises.

In OpenAI's form, with fields of our own beside its.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from .....models.cascade.policy import Student
from .....models.checkpoint.manifest import Manifest
from ....core.policies import AUTO
from ....core.service import Service
from ....errors import Reason
from ...openapi import json_shown, path_parameters
from ...route import ProtocolRoute, json_response, service_of
from ..openai import OPENAI

router = APIRouter(route_class=ProtocolRoute.rendering(OPENAI), tags=["OpenAI"])
TYPICAL_TOKENS = 16
"""Length at which costs are compared: a short question."""
_EXAMPLE = {
    "id": "tiny",
    "object": "model",
    "created": 1763683200,
    "owned_by": "nestling",
    "kind": "student",
    "relative_cost": 0.02509,
    "version": "60b7c288200d-1f0c3a5e",
}


class Model(TypedDict):
    """kind: alias, cascade or student; each has more fields. created: Unix time."""

    id: str
    object: str
    created: int
    owned_by: str
    kind: str


class ModelList(TypedDict):
    """task, labels, inputs, max_tokens, weights_sha256: of the checkpoint, for all its models.
    inputs: `text`, or `pair` where it is asked about two texts together.
    """

    object: str
    data: list[Model]
    task: str
    labels: list[str]
    inputs: str
    max_tokens: int
    weights_sha256: str


@router.get(
    "/v1/models",
    summary="Students and cascades",
    response_model=None,
    responses={200: json_shown({"object": "list", "data": [_EXAMPLE]}, ModelList)},
)
async def models(request: Request) -> Response:
    """`auto` first, then cascades, then students from small to large."""
    service = service_of(request)
    manifest = service.manifest
    head = manifest.architecture.head()
    return json_response(
        {
            "object": "list",
            "data": [_entry(service, name) for name in service.policies],
            "task": head.task,
            "labels": head.labels,
            "inputs": head.inputs,
            "max_tokens": manifest.architecture.max_tokens,
            "weights_sha256": manifest.weights_sha256,
        }
    )


@router.get(
    "/v1/models/{model}",
    summary="One student or cascade",
    response_model=None,
    responses={200: json_shown(_EXAMPLE, Model), **OPENAI.documented(Reason.UNKNOWN_MODEL)},
    openapi_extra=path_parameters(model=AUTO),
)
async def model(request: Request) -> Response:
    """The same entry as in the list."""
    service, name = service_of(request), request.path_params["model"]
    service.policies[name]  # or it is unknown
    return json_response(_entry(service, name))


def _entry(service: Service, name: str) -> dict[str, Any]:
    manifest = service.manifest
    entry = {"id": name, "object": "model", "created": manifest.created, "owned_by": "nestling"}
    if name == AUTO:
        stands_for = service.watch.served(manifest.policy(AUTO))
        return {
            **entry,
            "kind": "alias",
            "stands_for": manifest.default,
            "version": stands_for.version(manifest.weights_sha256),
        }
    cascade = service.watch.served(manifest.policy(name))
    own = (
        {"kind": "cascade", **cascade.to_json(), "tightened": _tightened(service, name)}
        if name in manifest.cascades
        else {"kind": "student", **_student(manifest, manifest.students[name])}
    )
    return {**entry, **own, "version": cascade.version(manifest.weights_sha256)}


def _tightened(service: Service, name: str) -> dict[str, Any] | None:
    """How far a cascade has gone back along its path; None if it has not."""
    tightening = service.watch.tightenings.get(name)
    if tightening is None or tightening.since is None:
        return None
    rung = tightening.steps[-1].rung
    return {
        "steps": len(tightening.steps),
        "of": len(tightening.rungs),
        "since": tightening.since.isoformat(timespec="milliseconds"),
        "observed_risk": rung.risk,
        "relative_cost": rung.relative_cost,
    }


def relative_cost(manifest: Manifest, student: Student) -> float:
    """FLOPs of a student relative to the TA's, for TYPICAL_TOKENS, in four digits."""
    flops, ta = student.flops.of(TYPICAL_TOKENS), manifest.ta.flops.of(TYPICAL_TOKENS)
    return float(f"{flops / ta:.4g}")


def _student(manifest: Manifest, student: Student) -> dict[str, Any]:
    return {
        **student.spec.to_json(),
        "parameters": student.parameters,
        "temperature": student.temperature,
        "flops": {
            **{f"per_{name}": value for name, value in asdict(student.flops).items()},
            f"at_{TYPICAL_TOKENS}_tokens": student.flops.of(TYPICAL_TOKENS),
        },
        "relative_cost": relative_cost(manifest, student),
    }
