"""`POST /v1/classify`: the native protocol. Each answer carries its decision."""

from __future__ import annotations

from time import perf_counter
from typing import Any, NotRequired

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from .....experiments.records import LONGEST_NAME
from .....models.cascade.decisions import Decision
from .....models.checkpoint.manifest import Manifest
from ....core.constraints import RequestConstraints
from ....core.policies import AUTO
from ....errors import Reason, RequestError
from ...answer_headers import answer_headers
from ...answering import answer
from ...body import check_contract, check_fields, check_texts, one_or_many, read_json, wrong_type
from ...errors import NATIVE
from ...request_headers import BLANKS
from ...route import MeasuredRoute, json_response, json_shown, request_body, service_of

router = APIRouter(route_class=MeasuredRoute)


FIELDS = ("inputs", "model", "deadline_ms", "max_cost", "min_confidence", "user")


class ClassifyRequest(TypedDict):
    """One text or a list of texts, and what the answers may cost.

    model: `auto`, a cascade's or a student's name. deadline_ms: the answer is that of the largest
    student that fits. max_cost: of all students asked, relative to the TA. min_confidence: raises
    the cascade's thresholds. user: whose request it is, where experiments assign by user; blanks
    around it are not part of it. A null counts as left out.
    """

    inputs: str | list[str]
    model: NotRequired[str | None]
    deadline_ms: NotRequired[float | None]
    max_cost: NotRequired[float | None]
    min_confidence: NotRequired[float | None]
    user: NotRequired[str | None]


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
    """score: calibrated probability of the label, 0 to 1."""

    label: str
    score: float
    decision: DecisionRecord


_EXAMPLE = {
    "label": "translate",
    "score": 0.999127,
    "decision": {
        "model": "drop-0.005",
        "student": "tiny",
        "path": [
            {
                "student": "tiny",
                "label": "translate",
                "confidence": 0.999127,
                "threshold": 0.957492,
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
        TypeAdapter(ClassifyRequest).json_schema(),
        {"inputs": "how do i say goodbye in french", "model": AUTO},
    ),
)
async def classify(request: Request) -> Response:
    """A string answers one object, a list answers a list of them in the same order."""
    service, started = service_of(request), perf_counter()
    body = check_fields(await read_json(request, service.settings.max_body_bytes), FIELDS)
    inputs = check_texts(one_or_many(body["inputs"]), service.settings.max_client_batch)
    answers = await answer(request, inputs, _contract(body, started), _user(body))
    shown = [classification(service.manifest, decision) for decision in answers.decisions]
    headers = answer_headers(answers, service.device)
    return json_response(shown[0] if inputs.single else shown, headers=headers)


def classification(manifest: Manifest, decision: Decision) -> Classification:
    """An answered decision as the protocol shows it."""
    labels = manifest.architecture.labels
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
                    "threshold": round(step.threshold, 6),
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


def _contract(body: dict[str, Any], started: float) -> RequestConstraints:
    model = AUTO if body.get("model") is None else body["model"]
    if not isinstance(model, str):
        raise wrong_type("model", model, "a string")
    return check_contract(body, model, started)


def _user(body: dict[str, Any]) -> str | None:
    user = body.get("user")
    if user is None:
        return None
    if not isinstance(user, str):
        raise wrong_type("user", user, "a string")
    user = user.strip(BLANKS)
    if not 0 < len(user) <= LONGEST_NAME:
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"{len(user)} characters; from 1 to {LONGEST_NAME} are expected",
            "user",
            limit=LONGEST_NAME,
            actual=len(user),
        )
    return user


def _significant(number: float) -> float:
    return float(f"{number:.4g}")
