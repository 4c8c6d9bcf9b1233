"""`POST /v1/classify`: the native protocol. Each answer carries its decision."""

from __future__ import annotations

from time import perf_counter
from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from .....experiments.records import LONGEST_NAME
from .....models.cascade.decisions import OUT_OF_SCOPE, Decision
from .....models.checkpoint.manifest import Manifest
from .....models.json_checks import refusal
from ....core.policies import AUTO
from ....errors import Reason
from ...answering import answer
from ...body import (
    Body,
    Deadline,
    MaxCost,
    MinConfidence,
    Texts,
    constraints_of,
    inputs_of,
    read,
)
from ...errors import NATIVE
from ...headers import BLANKS, answer_headers
from ...openapi import json_shown, request_body
from ...route import MeasuredRoute, json_response, service_of

router = APIRouter(route_class=MeasuredRoute)


def _user(text: str) -> str:
    user = text.strip(BLANKS)
    if 0 < len(user) <= LONGEST_NAME:
        return user
    raise refusal(
        Reason.OUT_OF_RANGE,
        f"{len(user)} characters; from 1 to {LONGEST_NAME} are expected",
        limit=LONGEST_NAME,
        actual=len(user),
    )


class ClassifyRequest(Body):
    """One text or a list of texts, and what the answers may cost.

    model: `auto`, a cascade's or a student's name. deadline_ms: the answer is that of the largest
    student that fits. max_cost: of all students asked, relative to the TA. min_confidence: that an
    answer needs beside its stage's threshold. user: whose request it is, where experiments assign
    by user; blanks around it are not part of it. A null counts as left out.
    """

    inputs: Texts
    model: str | None = None
    deadline_ms: Deadline = None
    max_cost: MaxCost = None
    min_confidence: MinConfidence = None
    user: Annotated[str, AfterValidator(_user)] | None = None


class PathStep(TypedDict):
    """One student's answer. It stands if its score reaches the threshold, its energy the scope, and
    its confidence what the request wants. confidence: calibrated. score: what the threshold is of,
    by name. score_value: that score; the confidence where it is the probability. scope: from which
    energy on a text is in scope here; 0 is none.
    """

    student: str
    label: str
    confidence: float
    score: str
    score_value: float
    threshold: float
    energy: float
    scope: float
    accepted: bool


class DecisionRecord(TypedDict):
    """How an answer came to be. Costs are sums over all students that were asked.

    model: the cascade or student behind the requested name. student: the one whose answer
    stands. limited_by: why it stands though it was not as sure as asked for: `deadline`,
    `max_cost`, `min_confidence`; else null. cached: whether it is an earlier answer to the same
    text, which costs nothing now. relative_cost: FLOPs relative to asking the TA alone.
    weights: the beginning of their sha256, to which thresholds are tied. brownout: how far overload
    had shortened the cascade, 0 (not at all) to 3 (the smallest student only). variants: by
    experiment, what the request's unit has got.
    """

    model: str
    student: str
    path: list[PathStep]
    limited_by: str | None
    cached: bool
    brownout: int
    variants: dict[str, str]
    tokens: int
    flops: int
    relative_cost: float
    device_seconds: float
    weights: str


class Classification(TypedDict):
    """label: null where the policy abstains, since the text seems to belong to none of them; then
    reason is `out_of_scope`, else null. score: calibrated probability of the likeliest label, 0 to
    1, also where that is not answered.
    """

    label: str | None
    score: float
    reason: str | None
    decision: DecisionRecord


_EXAMPLE = {
    "label": "translate",
    "score": 0.998069,
    "reason": None,
    "decision": {
        "model": "drop-0.005",
        "student": "tiny",
        "path": [
            {
                "student": "tiny",
                "label": "translate",
                "confidence": 0.998069,
                "score": "margin",
                "score_value": 0.999665,
                "threshold": 0.980342,
                "energy": 0.960174,
                "scope": 0.0,
                "accepted": True,
            }
        ],
        "limited_by": None,
        "cached": False,
        "brownout": 0,
        "variants": {},
        "tokens": 9,
        "flops": 4114944,
        "relative_cost": 0.02509,
        "device_seconds": 0.00276,
        "weights": "60b7c288200d",
    },
}


@router.post(
    "/v1/classify",
    summary="Classify a text or a list of texts",
    response_model=None,
    responses={
        200: json_shown(_EXAMPLE, Classification | list[Classification]),
        **NATIVE.documented(),
    },
    openapi_extra=request_body(
        ClassifyRequest, {"inputs": "how do i say goodbye in french", "model": AUTO}
    ),
)
async def classify(request: Request) -> Response:
    """A string answers one object, a list answers a list of them in the same order."""
    service, started = service_of(request), perf_counter()
    body = await read(request, ClassifyRequest, service.settings.max_body_bytes)
    inputs = inputs_of(body.inputs, service.settings.max_client_batch)
    model = AUTO if body.model is None else body.model
    constraints = constraints_of(
        model, started, body.deadline_ms, body.max_cost, body.min_confidence
    )
    answers = await answer(request, inputs, constraints, body.user)
    shown = [classification(service.manifest, decision) for decision in answers.decisions]
    headers = answer_headers(answers, service.device)
    return json_response(shown[0] if inputs.single else shown, headers=headers)


def classification(manifest: Manifest, decision: Decision) -> Classification:
    """An answered decision as the protocol shows it."""
    labels = manifest.architecture.labels
    answer = decision.answer
    return {
        "label": None if decision.abstained else labels[answer.label],
        "score": round(answer.confidence, 6),
        "reason": OUT_OF_SCOPE if decision.abstained else None,
        "decision": {
            "model": decision.cascade.name,
            "student": answer.stage.student.name,
            "path": [
                {
                    "student": step.stage.student.name,
                    "label": labels[step.label],
                    "confidence": round(step.confidence, 6),
                    "score": step.stage.score.value,
                    "score_value": round(step.score, 6),
                    "threshold": round(step.threshold, 6),
                    "energy": round(step.energy, 6),
                    "scope": round(step.stage.scope, 6),
                    "accepted": step.accepted,
                }
                for step in decision.steps
            ],
            "limited_by": decision.limited_by,
            "cached": decision.cached,
            "brownout": decision.brownout,
            "variants": dict(decision.variants),
            "tokens": len(decision.tokens),
            "flops": round(decision.flops),
            "relative_cost": _significant(decision.relative_cost),
            "device_seconds": _significant(decision.seconds),
            "weights": manifest.weights_sha256[:12],
        },
    }


def _significant(number: float) -> float:
    return float(f"{number:.4g}")
