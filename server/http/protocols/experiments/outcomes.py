"""`POST /v1/outcomes`: what came of answers, reported by those who see it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any, NotRequired

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from .....experiments.analysis import deadlines
from .....experiments.outcome_checks import check_rates
from .....experiments.records import Outcome
from .....experiments.store.database import StoreError
from .....experiments.store.outcomes import record
from ....errors import Reason, RequestError
from ...body import check_count, check_known, read_json, wrong_type
from ...errors import CHECKING, NATIVE, READING
from ...request_headers import BLANKS
from ...route import ControlRoute, json_response, json_shown, request_body, service_of
from .declared import COMMON, required, unavailable

router = APIRouter(route_class=ControlRoute, tags=["Experiments"])
FIELDS = ("id", "metric", "value", "request_id", "experiment", "unit", "at")
MOST = 10_000
"""Outcomes of one request."""
EXAMPLE = {
    "request_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "metric": "label",
    "value": "translate",
}


class OutcomeBody(TypedDict):
    """metric: `label` with the right answer, `reward`, or any other name with a number.

    Either request_id, or experiment and unit; blanks around an id or a unit are not part of it.
    id: by which it counts once. at: ISO 8601 with zone. A null counts as left out.
    """

    metric: str
    value: float | str
    id: NotRequired[str | None]
    request_id: NotRequired[str | None]
    experiment: NotRequired[str | None]
    unit: NotRequired[str | None]
    at: NotRequired[str | None]


@router.post(
    "/v1/outcomes",
    summary="Report what came of answers",
    response_model=None,
    responses={
        200: json_shown({"receipts": ["stored"], "counts": {"stored": 1}}),
        **NATIVE.documented(*COMMON, *READING, *CHECKING),
    },
    openapi_extra=request_body(TypeAdapter(OutcomeBody | list[OutcomeBody]).json_schema(), EXAMPLE),
)
async def outcomes(request: Request) -> Response:
    """One or a list. Each gets its receipt: stored, duplicate, conflict, unknown or late."""
    experiments = required(request)
    body = await read_json(request, service_of(request).settings.max_body_bytes)
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
        fields = check_known(value, FIELDS)
        for name in ("metric", "value"):
            if name not in fields:
                raise RequestError(Reason.MISSING_FIELD, "missing", name)
        for name in ("request_id", "unit"):
            if isinstance(fields.get(name), str):
                fields[name] = fields[name].strip(BLANKS)
        if fields.get("id") is None:
            fields["id"] = ""
        return Outcome(**{**fields, "at": _time(fields.get("at"))})
    except RequestError as error:
        if not within:
            raise
        raise error.within(within) from None


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise wrong_type("at", value, "a string")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise RequestError(
            Reason.OUT_OF_RANGE, f"{value[:40]!r} is not a time in ISO 8601", "at"
        ) from None
