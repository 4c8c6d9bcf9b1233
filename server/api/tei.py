"""`POST /predict` as text-embeddings-inference has it: every label's score, highest first."""

from __future__ import annotations

from typing import Any, NotRequired

import torch
from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...models.decision import Decision
from ..errors import Reason, RequestError
from ..routing.contract import Contract
from ..service import Inputs
from .body import check_fields, check_flag, check_texts, read_json
from .headers import answer_headers
from .route import REQUEST_ERRORS, MeasuredRoute, json_response, service_of, while_connected

router = APIRouter(route_class=MeasuredRoute)


class PredictRequest(TypedDict):
    """A string or [string] is one text; [[string], …] is a batch.

    truncate: answer a too long text by its beginning. raw_scores: logits, not probabilities.
    """

    inputs: str | list[str] | list[list[str]]
    truncate: NotRequired[bool]
    raw_scores: NotRequired[bool]


class Prediction(TypedDict):
    """One label's score."""

    score: float
    label: str


@router.post(
    "/predict",
    summary="All labels' scores, in the form of text-embeddings-inference",
    response_model=None,
    responses={200: {"model": list[Prediction] | list[list[Prediction]]}, **REQUEST_ERRORS},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": TypeAdapter(PredictRequest).json_schema(),
                    "example": {"inputs": "how do i say goodbye in french"},
                }
            },
        }
    },
)
async def predict(request: Request) -> Response:
    """One text answers a list of scores, a batch answers a list of such lists.

    The default cascade answers; scores are calibrated probabilities of the student that did.
    """
    service = service_of(request)
    body = check_fields(
        await read_json(request, service.settings.max_body_bytes),
        ("inputs", "truncate", "raw_scores"),
    )
    truncate, raw = check_flag(body, "truncate"), check_flag(body, "raw_scores")
    inputs = check_texts(_inputs(body["inputs"]), service.settings.max_client_batch)
    answers = await while_connected(request, service.answer(inputs, Contract(truncate=truncate)))
    shown = predictions(answers.decisions, service.checkpoint.architecture.labels, raw)
    headers = answer_headers(answers, service.device)
    return json_response(shown[0] if inputs.single else shown, headers=headers)


def predictions(
    decisions: list[Decision], labels: tuple[str, ...], raw: bool
) -> list[list[Prediction]]:
    """Each decision's labels, highest score first."""
    scores = torch.stack([d.logits for d in decisions if d.logits is not None])
    if not raw:
        temperatures = torch.tensor([d.answer.stage.student.temperature for d in decisions])
        scores = torch.softmax(scores / temperatures[:, None], dim=-1)
    scores, order = scores.sort(dim=-1, descending=True)
    return [
        [
            {"score": round(score, 6), "label": labels[label]}
            for score, label in zip(row, indices, strict=True)
        ]
        for row, indices in zip(scores.tolist(), order.tolist(), strict=True)
    ]


def _inputs(value: Any) -> Inputs:
    if not isinstance(value, list):
        return Inputs([value], single=True)
    if value and all(isinstance(item, list) for item in value):
        return Inputs([_only(item, f"inputs[{i}]") for i, item in enumerate(value)], single=False)
    return Inputs([_only(value, "inputs")] if value else [], single=True)


def _only(texts: list[Any], field: str) -> Any:
    """The text in a list of one; in this protocol a list of two is a pair of texts."""
    if len(texts) != 1:
        raise RequestError(
            Reason.TOO_MANY if texts else Reason.EMPTY,
            f"{len(texts)} texts, where this protocol has one text or a pair, and this checkpoint "
            'classifies no pairs; a batch is [["…"], ["…"]]',
            field,
            limit=1,
            actual=len(texts),
        )
    return texts[0]
