"""`/admin/guarantees`: what the watch over the promises has seen, and its new beginning."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from .....models.nearest import in_words, listing
from ....core.guarantee_monitor import Alarm, GuaranteeMonitor
from ....core.tightening import Tightening, TighteningStep
from ....errors import Reason, RequestError
from ...body import Body, read
from ...errors import NATIVE, READING
from ...openapi import json_shown, request_body
from ...route import ControlRoute, json_response, service_of

router = APIRouter(route_class=ControlRoute)
ALARM = {
    "raised": "2026-01-01T00:00:00.000+00:00",
    "texts": 2816,
    "disagreements": 71,
    "recent_texts": 420,
    "recent_disagreements": 22,
    "student": "tiny",
}
SHOWN = {
    "cascade": "drop-0.01",
    "version": "60b7…-1f2e…",
    "loss": "disagreement",
    "alpha": 0.01,
    "texts": 2817,
    "disagreements": 71,
    "lower": 0.0181,
    "upper": 0.0342,
    "evidence": 1043127.2,
    "repeated": 0.04,
    "alarm": ALARM,
    "further_steps": 2,
    "steps": [
        {
            "alarm": ALARM,
            "version": "60b7…-93ac…",
            "thresholds": {"tiny": 0.984, "small": 0.941, "ta": 0.0},
            "observed_risk": 0.0005,
            "relative_cost": 0.087,
        }
    ],
}
KEYS = (Reason.UNAUTHORISED, Reason.FORBIDDEN, Reason.INTERNAL)


class ResetRequest(Body):
    """cascade: whose watch begins anew; null, or left out, is every one's."""

    example: ClassVar[str] = '{"cascade": "…"}'

    cascade: str | None = None


@router.get(
    "/admin/guarantees",
    summary="What the watch over the promises has seen",
    response_model=None,
    responses={
        200: json_shown({"shadow": 0.01, "on_violation": "tighten", "guarantees": [SHOWN]}),
        **NATIVE.documented(*KEYS),
    },
)
async def guarantees(request: Request) -> Response:
    """Every cascade that is served, with its alarm if one has been raised, and the steps by which
    its thresholds have gone back since. For administrators.
    """
    service = service_of(request)
    settings, watch = service.settings, service.watch
    shown = [_shown(each, watch.tightenings[name]) for name, each in watch.monitors.items()]
    return json_response(
        {"shadow": settings.shadow, "on_violation": settings.on_violation, "guarantees": shown}
    )


@router.post(
    "/admin/guarantees/reset",
    summary="Begin the watch over the promises anew",
    response_model=None,
    responses={
        200: json_shown({"before": [SHOWN]}),
        **NATIVE.documented(*READING, *KEYS, Reason.UNKNOWN_FIELD, Reason.UNKNOWN_MODEL),
    },
    openapi_extra=request_body(ResetRequest, {}, required=False),
)
async def reset(request: Request) -> Response:
    """Forget an alarm, and all that was counted; the calibrated thresholds are back. Returns how
    the watch stood until then.
    """
    service = service_of(request)
    body = await read(request, ResetRequest, service.settings.max_body_bytes, empty={})
    known = list(service.watch.monitors)
    if body.cascade is not None and body.cascade not in known:
        raise RequestError(
            Reason.UNKNOWN_MODEL,
            f"{body.cascade[:64]!r} is no cascade that is served; there are "
            f"{in_words(body.cascade, known) or 'none'}",
            "cascade",
            known=listing(body.cascade, known),
        )
    chosen = known if body.cascade is None else [body.cascade]
    return json_response({"before": [_shown(*service.watch.reset(name)) for name in chosen]})


def _shown(monitor: GuaranteeMonitor, tightening: Tightening) -> dict[str, Any]:
    guarantee = monitor.cascade.guarantee
    return {
        "cascade": monitor.cascade.name,
        "version": monitor.version,
        "loss": guarantee.loss if guarantee else None,
        "alpha": guarantee.alpha if guarantee else None,
        "texts": monitor.texts,
        "disagreements": monitor.disagreements,
        "lower": monitor.lower,
        "upper": monitor.upper,
        "evidence": monitor.evidence,
        "repeated": monitor.repeated,
        "alarm": _alarm(monitor.alarm) if monitor.alarm else None,
        "further_steps": len(tightening.rungs) - len(tightening.steps),
        "steps": [_step(each) for each in tightening.steps],
    }


def _step(step: TighteningStep) -> dict[str, Any]:
    rung = step.rung
    return {
        "alarm": _alarm(step.alarm),
        "version": rung.version,
        "thresholds": {stage.student.name: stage.threshold for stage in rung.cascade.stages},
        "observed_risk": rung.risk,
        "relative_cost": rung.relative_cost,
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return asdict(alarm) | {"raised": alarm.raised.isoformat(timespec="milliseconds")}
