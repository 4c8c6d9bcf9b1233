"""`GET /health` for load balancers, `GET /metrics` for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from .route import json_response, json_shown, service_of

router = APIRouter()


@router.get(
    "/health",
    summary="Whether texts are answered",
    response_model=None,
    responses={200: json_shown({"status": "ready"}), 503: json_shown({"status": "stopped"})},
)
async def health(request: Request) -> Response:
    """200 from the end of the warm-up on; 503 if the engine has ended."""
    if service_of(request).ready:
        return json_response({"status": "ready"})
    return json_response({"status": "stopped"}, 503)


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "nestling_tokens_total 0.0"}}}},
)
async def metrics(request: Request) -> Response:
    """All series, in Prometheus' text format."""
    return Response(service_of(request).metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
