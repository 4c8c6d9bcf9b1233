"""`GET /v1/models`: what `model` may name, what each costs, what each cascade promises."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...models.cascade import Cascade, Student
from ...models.checkpoint import Checkpoint
from ..routing.policy import AUTO
from .route import json_response, service_of

router = APIRouter()
TYPICAL_TOKENS = 16
"""Length at which costs are compared: a short question."""


@router.get("/v1/models", summary="Students and cascades", response_model=None)
async def models(request: Request) -> Response:
    """`auto` first, then cascades, then students from small to large."""
    checkpoint = service_of(request).checkpoint
    entries = [
        {"id": AUTO, "object": "model", "kind": "alias", "stands_for": checkpoint.default},
        *(_cascade(cascade) for cascade in checkpoint.cascades.values()),
        *(_student(checkpoint, student) for student in checkpoint.students.values()),
    ]
    return json_response(
        {
            "object": "list",
            "data": entries,
            "labels": checkpoint.architecture.labels,
            "max_tokens": checkpoint.architecture.max_tokens,
            "weights_sha256": checkpoint.weights_sha256,
        }
    )


def _cascade(cascade: Cascade) -> dict[str, Any]:
    return {"id": cascade.name, "object": "model", "kind": "cascade", **cascade.to_json()}


def _student(checkpoint: Checkpoint, student: Student) -> dict[str, Any]:
    flops = student.flops.of(TYPICAL_TOKENS)
    return {
        "id": student.name,
        "object": "model",
        "kind": "student",
        **student.spec.to_json(),
        "parameters": student.parameters,
        "temperature": student.temperature,
        "flops": {
            **{f"per_{name}": value for name, value in asdict(student.flops).items()},
            f"at_{TYPICAL_TOKENS}_tokens": flops,
        },
        "relative_cost": float(f"{flops / checkpoint.ta.flops.of(TYPICAL_TOKENS):.4g}"),
    }
