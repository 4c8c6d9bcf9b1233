"""`POST /v1/classify`: the native protocol. Each answer carries its decision."""

from __future__ import annotations

from functools import lru_cache, partial
from time import perf_counter
from typing import Annotated, Any, Literal, NotRequired

from fastapi import APIRouter
from pydantic import AfterValidator
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from .....experiments.records import LONGEST_NAME
from .....models.cascade.columns import Decisions
from .....models.cascade.decisions import OUT_OF_SCOPE
from .....models.cascade.steps import StepColumns
from .....models.checkpoint.manifest import Manifest
from .....models.heads import task_of
from .....models.json_checks import refusal
from .....models.nested.head_spec import HeadSpec
from ....core.policies import AUTO
from ....core.service import Service
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
from ...route import MeasuredRoute, json_response

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
    """One student's answer: a label, or the labels where a text may have several. It stands if its
    score reaches the threshold, its energy the scope, and
    its confidence what the request wants. confidence: calibrated. score: what the threshold is of,
    by name. score_value: that score; the confidence where it is the probability. scope: from which
    energy on a text is in scope here; 0 is none.
    """

    student: str
    label: NotRequired[str]
    labels: NotRequired[list[str]]
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
    reason is `out_of_scope`, else null. labels: in its place where a text may have several, those
    that hold. score: calibrated probability that the answer is right, 0 to 1, also where it is not
    given.
    """

    label: NotRequired[str | None]
    labels: NotRequired[list[str] | None]
    score: float
    reason: str | None
    decision: DecisionRecord


ANSWER: dict[str, Literal["label", "labels"]] = {"single_label": "label", "multi_label": "labels"}
"""By the head's task, the field with the answer."""
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
    service: Service = request.scope["service"]
    started = perf_counter()
    body = await read(request, ClassifyRequest, service.settings.max_body_bytes)
    inputs = inputs_of(body.inputs, service.settings.max_client_batch)
    model = AUTO if body.model is None else body.model
    constraints = constraints_of(
        model, started, body.deadline_ms, body.max_cost, body.min_confidence
    )
    answers = await answer(request, inputs, constraints, body.user)
    shown = answers.each(partial(classifications, service.manifest))
    headers = answer_headers(answers, service.device)
    return json_response(shown[0] if inputs.single else shown, headers=headers)


def classifications(manifest: Manifest, decisions: Decisions) -> list[Classification]:
    """Answered texts as the protocol shows them."""
    head, weights = manifest.architecture.head(), manifest.weights_sha256[:12]
    answer = ANSWER[head.task]
    paths: list[list[PathStep]] = [[] for _ in decisions.tokens]
    for step in decisions.steps:
        for row, shown in zip(step.rows, _path_steps(head, step), strict=True):
            paths[row].append(shown)
    model, cached, brownout = decisions.cascade.name, decisions.cached, decisions.brownout
    variants, limits = dict(decisions.variants), decisions.limits
    told = decisions.told
    columns = zip(
        paths,
        told.abstained,
        decisions.lengths,
        told.flops,
        told.costs,
        told.seconds,
        strict=True,
    )
    found: list[Any] = [
        {
            answer: None if abstained else path[-1][answer],
            "score": path[-1]["confidence"],
            "reason": OUT_OF_SCOPE if abstained else None,
            "decision": {
                "model": model,
                "student": path[-1]["student"],
                "path": path,
                "limited_by": limits.get(row) if limits else None,
                "cached": cached,
                "brownout": brownout,
                "variants": variants,
                "tokens": tokens,
                "flops": round(flops),
                "relative_cost": _cost(relative_cost),
                "device_seconds": float(f"{seconds:.4g}"),
                "weights": weights,
            },
        }
        for row, (path, abstained, tokens, flops, relative_cost, seconds) in enumerate(columns)
    ]
    return found


@lru_cache(maxsize=1024)
def _fixed(value: float) -> float:
    """Of a stage: the same for all texts."""
    return round(value, 6)


@lru_cache(maxsize=4096)
def _cost(relative: float) -> float:
    """The same for all texts of a length on the same path."""
    return float(f"{relative:.4g}")


def _path_steps(head: HeadSpec, step: StepColumns) -> list[PathStep]:
    shown, answer = task_of(head).shown, ANSWER[head.task]
    student, score = step.stage.student.name, step.stage.score.value
    threshold, scope = _fixed(step.threshold), _fixed(step.stage.scope)
    columns = zip(
        step.labels, step.confidences, step.scores, step.energies, step.accepts, strict=True
    )
    found: list[Any] = [
        {
            "student": student,
            answer: shown(label),
            "confidence": round(confidence * 1e6) / 1e6,
            "score": score,
            "score_value": round(value * 1e6) / 1e6,
            "threshold": threshold,
            "energy": round(energy * 1e6) / 1e6,
            "scope": scope,
            "accepted": accepted,
        }
        for label, confidence, value, energy, accepted in columns
    ]
    return found
