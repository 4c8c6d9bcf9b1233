"""The ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from ..models.checkpoint import Checkpoint
from .api import classify, health, models, tei
from .api.route import MeasuredRoute, error_response
from .engine.runner import Runner
from .errors import Reason, RequestError, internal_error
from .service import Service
from .settings import Settings
from .telemetry.metrics import Metrics

PROTOCOLS = (classify.router, tei.router)
"""Their routes answer texts and are measured."""


def create_app(
    checkpoint: Checkpoint, settings: Settings | None = None, run: Runner | None = None
) -> FastAPI:
    """The server of one checkpoint. run: a backend other than torch."""
    routes = [route for router in PROTOCOLS for route in router.routes]
    measured = [route.path for route in routes if isinstance(route, MeasuredRoute)]
    metrics = Metrics(measured, checkpoint.students)
    service = Service(checkpoint, settings or Settings(), metrics, run)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="Nestling",
        summary="The smallest student that is sure answers.",
        version=version("nestling"),
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    for router in (*PROTOCOLS, models.router, health.router):
        app.include_router(router)
    app.add_exception_handler(404, _not_found)
    app.add_exception_handler(405, _method_not_allowed)
    app.add_exception_handler(Exception, _internal)
    return app


async def _not_found(request: Request, _: Exception) -> Response:
    known = sorted(request.app.openapi()["paths"])
    return error_response(
        request,
        RequestError(
            Reason.NOT_FOUND,
            f"{request.url.path[:64]} is none of {', '.join(known)}; see /docs",
            known=known,
        ),
    )


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    headers = getattr(error, "headers", None) or {}
    allowed = headers.get("Allow", "")
    return error_response(
        request,
        RequestError(
            Reason.METHOD_NOT_ALLOWED,
            f"{request.url.path} does not take {request.method}; it takes {allowed}",
            headers=headers,
        ),
    )


async def _internal(request: Request, _: Exception) -> Response:
    return error_response(request, internal_error(request.url.path))
