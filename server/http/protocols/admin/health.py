"""Health for load balancers and Kubernetes, `GET /metrics` for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ...openapi import json_shown
from ...route import json_response, service_of
from ..oip.request import TAG

router = APIRouter()
metrics = APIRouter()


def is_ready(request: Request) -> bool:
    """Whether texts are answered, and will still be when the next request comes."""
    return service_of(request).ready and not request.app.state.draining


@router.get(
    "/health",
    summary="Whether texts are answered",
    response_model=None,
    responses={200: json_shown({"status": "ready"}), 503: json_shown({"status": "stopped"})},
)
async def health(request: Request) -> Response:
    """200 from the end of the warm-up on; 503 if the engine has ended, or the server drains."""
    if is_ready(request):
        return json_response({"status": "ready"})
    return json_response({"status": "draining" if request.app.state.draining else "stopped"}, 503)


@router.get(
    "/v2/health/live",
    summary="Whether the server runs",
    response_model=None,
    responses={200: json_shown({"live": True})},
    tags=[TAG],
)
async def live(_: Request) -> Response:
    """200 as soon as there is somebody to ask."""
    return json_response({"live": True})


@router.get(
    "/v2/health/ready",
    summary="Whether texts are answered",
    response_model=None,
    responses={200: json_shown({"ready": True}), 503: json_shown({"ready": False})},
    tags=[TAG],
)
async def ready(request: Request) -> Response:
    """As `/health`."""
    answering = is_ready(request)
    return json_response({"ready": answering}, 200 if answering else 503)


@metrics.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "nestling_tokens_total 0.0"}}}},
)
async def exposition(request: Request) -> Response:
    """All series, in Prometheus' text format."""
    service = service_of(request)
    await service.gather()
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


def metrics_url(request: Request) -> str:
    """Where the metrics are, for who has reached this server by a host and asked for a page."""
    port = service_of(request).settings.metrics_port
    if port is None:
        return "../metrics"
    host = request.url.hostname or "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"
