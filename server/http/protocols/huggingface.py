"""`POST /` and `POST /models/{model}` as Hugging Face's inference endpoints have them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from ....models.nested.head_spec import HeadSpec
from ...core.constraints import RequestConstraints
from ...core.policies import AUTO
from ...errors import Reason, RequestError
from ..answering import answer
from ..body import Body, Texts, inputs_of, read
from ..body_errors import Otherwise
from ..errors import MESSAGE_SCHEMA, ErrorFormat, message_body
from ..headers import answer_headers
from ..openapi import json_shown, path_parameters, request_body
from ..route import MeasuredRoute, rendered, service_of
from .scores import LabelScore, as_list, logits, probabilities, ranked

HUGGING_FACE = ErrorFormat(message_body, MESSAGE_SCHEMA)
router = APIRouter(route_class=MeasuredRoute.rendering(HUGGING_FACE), tags=["Hugging Face"])
Function = Annotated[
    Literal["softmax", "sigmoid", "none"] | None, Otherwise("known are softmax, sigmoid, none")
]


class Parameters(Body):
    """top_k: so many labels, the likeliest first; by default all. truncation: answer a too long
    text by its beginning. function_to_apply: `softmax`, or `sigmoid` where several labels may
    hold, for calibrated probabilities (the default), `none` for logits."""

    top_k: Annotated[int | None, Field(ge=1)] = None
    function_to_apply: Function = None
    truncation: bool | None = None


class TextClassificationRequest(Body):
    """options: what the Hub's clients send along; without effect. A null counts as left out."""

    inputs: Texts
    parameters: Parameters | None = None
    options: dict[str, Any] | None = None


APPLIED = {"single_label": "softmax", "multi_label": "sigmoid"}
"""By task, what makes probabilities of logits."""


def _check(function: str | None, head: HeadSpec) -> None:
    """Raises RequestError for a function that is not the head's."""
    own = APPLIED[head.task]
    if function not in (None, "none", own):
        why = "each text has exactly one label"
        if head.task == "multi_label":
            why = "a text may have several labels"
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"{function!r}; known are {own}, none, since {why}",
            "parameters.function_to_apply",
            known=[own, "none"],
        )


_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: json_shown([[{"score": 0.998069, "label": "translate"}]], list[list[LabelScore]]),
    **HUGGING_FACE.documented(),
}
_BODY = request_body(
    TextClassificationRequest,
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
    """A list of scores for each text, also for a single one, as the Hub's clients expect.

    It is empty where the policy abstains, since the text is out of scope.
    """
    service = service_of(request)
    body = await read(request, TextClassificationRequest, service.settings.max_body_bytes)
    parameters = body.parameters or Parameters()
    inputs = inputs_of(body.inputs, service.settings.max_client_batch)
    constraints = RequestConstraints(
        request.path_params.get("model", AUTO), truncate=bool(parameters.truncation)
    )
    head = service.manifest.architecture.head()
    _check(parameters.function_to_apply, head)
    answers = await answer(request, inputs, constraints)
    plain = parameters.function_to_apply == "none"
    scores = logits(answers) if plain else probabilities(answers, head)
    best = ranked(scores, head.labels, answers.told.abstained, parameters.top_k)
    return rendered(as_list(best), headers=answer_headers(answers, service.device))
