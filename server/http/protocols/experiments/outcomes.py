"""`POST /v1/outcomes`: what came of answers, reported by those who see it."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from .....experiments.errors import FieldError, StoreError
from .....experiments.records import Outcome
from ....errors import Reason, RequestError
from ...body import Body, check, check_count, parse_json, read_body
from ...errors import CHECKING, NATIVE, READING
from ...openapi import json_shown, request_body
from ...route import ControlRoute, json_response, service_of
from .declared import COMMON, required, unavailable

router = APIRouter(route_class=ControlRoute, tags=["Experiments"])
MOST = 10_000
"""Outcomes of one request."""
EXAMPLE = {
    "request_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "metric": "label",
    "value": "translate",
}


class OutcomeBody(Outcome, Body):
    """metric: `label` with the right answer, `reward`, or any other name with a number.

    Either request_id, or experiment and unit; blanks around an id or a unit are not part of it.
    id: by which it counts once. at: ISO 8601 with zone. A null counts as left out.
    """

    example: ClassVar[str] = '{"request_id": "…", "metric": "label", "value": "…"}'


OUTCOMES = TypeAdapter(list[OutcomeBody])


@router.post(
    "/v1/outcomes",
    summary="Report what came of answers",
    response_model=None,
    responses={
        200: json_shown({"receipts": ["stored"], "counts": {"stored": 1}}),
        **NATIVE.documented(*COMMON, *READING, *CHECKING),
    },
    openapi_extra=request_body(OutcomeBody, EXAMPLE, many=True),
)
async def outcomes(request: Request) -> Response:
    """One or a list. Each gets its receipt: stored, duplicate, conflict, unknown or late."""
    experiments = required(request)
    content = await read_body(request, service_of(request).settings.max_body_bytes)
    body = parse_json(content, OutcomeBody.example)
    given = _checked(body)
    try:
        receipts = await experiments.take(given)
    except FieldError as error:
        raise RequestError(
            Reason.OUT_OF_RANGE, error.message, error.field, **error.details
        ) from None
    except StoreError as error:
        raise unavailable(error) from error
    return json_response({"receipts": receipts, "counts": Counter(map(str, receipts))})


def _checked(body: Any) -> dict[str, Outcome]:
    """The outcomes of a body by their places in it, with a dot at the end."""
    if not isinstance(body, list):
        return {"": check(body, OutcomeBody)}
    check_count(len(body), MOST, "the list", "outcome")
    try:
        given = OUTCOMES.validate_python(body)
    except ValidationError:
        given = [_found(each, f"[{index}].") for index, each in enumerate(body)]
    return {f"[{index}].": each for index, each in enumerate(given)}


def _found(value: Any, place: str) -> OutcomeBody:
    try:
        return check(value, OutcomeBody)
    except RequestError as error:
        raise error.within(place) from None
