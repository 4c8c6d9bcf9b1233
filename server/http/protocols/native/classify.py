"""`POST /v1/classify`: the native protocol. Each answer carries its decision."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from .....experiments.records import LONGEST_NAME
from .....models.json_checks import refusal
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
from .classification import EXAMPLE, Classification, add_scores, classifications

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
    by user; blanks around it are not part of it. truncate: answer a too long text by its
    beginning. abstain: false gives the label also where the policy abstains. top_k: say the scores
    of so many labels, the likeliest first. A null counts as left out.
    """

    inputs: Texts
    model: str | None = None
    deadline_ms: Deadline = None
    max_cost: MaxCost = None
    min_confidence: MinConfidence = None
    user: Annotated[str, AfterValidator(_user)] | None = None
    truncate: bool | None = None
    abstain: bool | None = None
    top_k: Annotated[int | None, Field(ge=1)] = None


@router.post(
    "/v1/classify",
    summary="Classify a text or a list of texts",
    response_model=None,
    responses={
        200: json_shown(EXAMPLE, Classification | list[Classification]),
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
        model,
        started,
        body.deadline_ms,
        body.max_cost,
        body.min_confidence,
        bool(body.truncate),
    )
    answers = await answer(request, inputs, constraints, body.user)
    abstain = body.abstain is not False
    shown = answers.each(partial(classifications, service.manifest, abstain=abstain))
    if body.top_k is not None:
        add_scores(shown, answers, service.manifest.architecture.head(), body.top_k)
    headers = answer_headers(answers, service.device)
    return json_response(shown[0] if inputs.single else shown, headers=headers)
