"""`POST /v1/classify`: the native protocol. Each answer carries its decision."""

from __future__ import annotations

from typing import Any, NotRequired

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...models.checkpoint import Checkpoint
from ...models.decision import Decision
from ..routing.policy import AUTO
from ..service import Inputs
from .body import check_fields, check_texts, read_json, wrong_type
from .route import REQUEST_ERRORS, MeasuredRoute, json_response, service_of, while_connected

router = APIRouter(route_class=MeasuredRoute)


class ClassifyRequest(TypedDict):
    """One text or a list of texts. model: `auto`, a cascade's or a student's name."""

    inputs: str | list[str]
    model: NotRequired[str]


class PathStep(TypedDict):
    """One student's answer. It stands if its calibrated confidence reaches the threshold."""

    student: str
    label: str
    confidence: float
    threshold: float
    accepted: bool


class DecisionRecord(TypedDict):
    """How an answer came to be. Costs are sums over all students that were asked.

    model: the cascade or student behind the requested name. student: the one whose answer
    stands. relative_cost: FLOPs relative to asking the TA alone. weights: the beginning of their
    sha256, to which thresholds are tied.
    """

    model: str
    student: str
    path: list[PathStep]
    tokens: int
    flops: int
    relative_cost: float
    device_seconds: float
    weights: str


class Classification(TypedDict):
    """score: calibrated probability of the label, 0 to 1."""

    label: str
    score: float
    decision: DecisionRecord


@router.post(
    "/v1/classify",
    summary="Classify a text or a list of texts",
    response_model=None,
    responses={200: {"model": Classification | list[Classification]}, **REQUEST_ERRORS},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": TypeAdapter(ClassifyRequest).json_schema(),
                    "example": {"inputs": "how do i say goodbye in french", "model": AUTO},
                }
            },
        }
    },
)
async def classify(request: Request) -> Response:
    """A string answers one object, a list answers a list of them in the same order."""
    service = service_of(request)
    body = check_fields(
        await read_json(request, service.settings.max_body_bytes), ("inputs", "model")
    )
    inputs = check_texts(_inputs(body["inputs"]), service.settings.max_client_batch)
    model = body.get("model", AUTO)
    if not isinstance(model, str):
        raise wrong_type("model", model, "a string")
    decisions = await while_connected(request, service.answer(inputs, model))
    answers = [classification(service.checkpoint, decision) for decision in decisions]
    return json_response(answers[0] if inputs.single else answers)


def classification(checkpoint: Checkpoint, decision: Decision) -> Classification:
    """An answered decision as the protocol shows it."""
    labels = checkpoint.architecture.labels
    answer = decision.answer
    return {
        "label": labels[answer.label],
        "score": round(answer.confidence, 6),
        "decision": {
            "model": decision.cascade.name,
            "student": answer.stage.student.name,
            "path": [
                {
                    "student": step.stage.student.name,
                    "label": labels[step.label],
                    "confidence": round(step.confidence, 6),
                    "threshold": round(step.stage.threshold, 6),
                    "accepted": step.accepted,
                }
                for step in decision.steps
            ],
            "tokens": len(decision.tokens),
            "flops": round(decision.flops),
            "relative_cost": _significant(decision.relative_cost),
            "device_seconds": _significant(decision.seconds),
            "weights": checkpoint.weights_sha256[:12],
        },
    }


def _inputs(value: Any) -> Inputs:
    return Inputs(value, single=False) if isinstance(value, list) else Inputs([value], single=True)


def _significant(number: float) -> float:
    return float(f"{number:.4g}")
