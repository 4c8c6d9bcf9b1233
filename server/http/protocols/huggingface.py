"""`POST /` and `POST /models/{model}` as Hugging Face's inference endpoints have them."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ...core.constraints import RequestConstraints
from ...core.policies import AUTO
from ...errors import Reason, RequestError
from ..answer_headers import answer_headers
from ..answering import answer
from ..body import (
    check_fields,
    check_flag,
    check_object,
    check_texts,
    one_or_many,
    read_json,
    shown,
    wrong_type,
)
from ..errors import HUGGING_FACE
from ..route import (
    MeasuredRoute,
    json_response,
    json_shown,
    path_parameters,
    request_body,
    service_of,
)
from .scores import Score, logits, probabilities, ranked

router = APIRouter(route_class=MeasuredRoute, tags=["Hugging Face"])
PARAMETERS = ("top_k", "function_to_apply", "truncation")
FUNCTIONS = ("softmax", "none")


class Parameters(TypedDict):
    """top_k: so many labels, the likeliest first; by default all. truncation: answer a too long
    text by its beginning. function_to_apply: `softmax` for calibrated probabilities (the default),
    `none` for logits."""

    top_k: NotRequired[int | None]
    function_to_apply: NotRequired[Literal["softmax", "none"] | None]
    truncation: NotRequired[bool | None]


class TextClassificationRequest(TypedDict):
    """options: what the Hub's clients send along; without effect. A null counts as left out."""

    inputs: str | list[str]
    parameters: NotRequired[Parameters | None]
    options: NotRequired[dict[str, Any] | None]


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: json_shown([[{"score": 0.999127, "label": "translate"}]], list[list[Score]]),
    **HUGGING_FACE.documented(),
}
_BODY = request_body(
    TypeAdapter(TextClassificationRequest).json_schema(),
    {"inputs": "how do i say goodbye in french", "parameters": {"top_k": 1}},
)


@router.post(
    "/",
    summary="Text classification by the default cascade",
    response_model=None,
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
@router.post(
    "/models/{model}",
    summary="Text classification by a cascade or a student",
    response_model=None,
    responses=_RESPONSES,
    openapi_extra=_BODY | path_parameters(model=AUTO),
)
async def text_classification(request: Request) -> Response:
    """A list of scores for each text, also for a single one, as the Hub's clients expect."""
    service = service_of(request)
    body = check_fields(
        await read_json(request, service.settings.max_body_bytes),
        ("inputs", "parameters", "options"),
    )
    check_object(body, "options")
    parameters = check_object(body, "parameters", PARAMETERS)
    top_k, raw = _top_k(parameters.get("top_k")), _raw(parameters.get("function_to_apply"))
    contract = RequestConstraints(
        request.path_params.get("model", AUTO),
        truncate=check_flag(parameters, "truncation", within="parameters."),
    )
    inputs = check_texts(one_or_many(body["inputs"]), service.settings.max_client_batch)
    answers = await answer(request, inputs, contract)
    scores = logits(answers.decisions) if raw else probabilities(answers.decisions)
    best = ranked(scores, service.manifest.architecture.labels, top_k)
    return json_response(best, headers=answer_headers(answers, service.device))


def _top_k(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type("parameters.top_k", value, "an integer")
    if value < 1:
        raise RequestError(
            Reason.OUT_OF_RANGE, f"{value}; it must be 1 or more", "parameters.top_k"
        )
    return value


def _raw(function: Any) -> bool:
    if function is None:
        return False
    if function not in FUNCTIONS:
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"{shown(function)}; known are {', '.join(FUNCTIONS)}, since each text has exactly one "
            "label",
            "parameters.function_to_apply",
            known=list(FUNCTIONS),
        )
    return bool(function == "none")
