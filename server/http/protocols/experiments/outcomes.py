"""`POST /v1/outcomes`: what came of answers, reported by those who see it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter
from pydantic import AfterValidator, BeforeValidator, Field, Tag
from starlette.requests import Request
from starlette.responses import Response

from .....experiments.analysis import deadlines
from .....experiments.outcome_checks import check_rates
from .....experiments.records import Outcome
from .....experiments.store.database import StoreError
from .....experiments.store.outcomes import record
from ....errors import Reason, RequestError
from ...body import Body, check, check_count, parse_json, read_body
from ...body_errors import refusal, wrong_type
from ...errors import CHECKING, NATIVE, READING
from ...openapi import json_shown, request_body
from ...request_headers import BLANKS
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


def _time(value: Any) -> Any:
    if not isinstance(value, str):
        raise wrong_type("a string", value)
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise refusal(Reason.OUT_OF_RANGE, f"{value[:40]!r} is not a time in ISO 8601") from None


Identity = Annotated[str, AfterValidator(lambda text: text.strip(BLANKS))]
Time = Annotated[datetime, BeforeValidator(_time, json_schema_input_type=str)]
Value = Annotated[
    Annotated[float, Tag("a number")] | Annotated[str, Tag("a string")],
    Field(union_mode="left_to_right"),
]


class OutcomeBody(Body):
    """metric: `label` with the right answer, `reward`, or any other name with a number.

    Either request_id, or experiment and unit; blanks around an id or a unit are not part of it.
    id: by which it counts once. at: ISO 8601 with zone. A null counts as left out.
    """

    example: ClassVar[str] = '{"request_id": "…", "metric": "label", "value": "…"}'

    id: str | None = None
    metric: str
    value: Value
    request_id: Identity | None = None
    experiment: str | None = None
    unit: Identity | None = None
    at: Time | None = None


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
    listed = body if isinstance(body, list) else [body]
    check_count(len(listed), MOST, "the list", "outcome")
    places = [f"[{index}]." if body is listed else "" for index in range(len(listed))]
    given = {place: _outcome(each, place) for place, each in zip(places, listed, strict=True)}
    check_rates(given, experiments.plan)
    now = experiments.clock.now()
    late = deadlines(experiments.plan.by_name, now)
    try:
        await asyncio.to_thread(experiments.labels.check, given)
        receipts = await asyncio.to_thread(
            record, experiments.engine, list(given.values()), now, late
        )
    except StoreError as error:
        raise unavailable(error) from error
    return json_response({"receipts": receipts, "counts": Counter(map(str, receipts))})


def _outcome(value: Any, within: str) -> Outcome:
    try:
        body = check(value, OutcomeBody)
        return Outcome(**(vars(body) | {"id": body.id or ""}))
    except RequestError as error:
        if not within:
            raise
        raise error.within(within) from None
