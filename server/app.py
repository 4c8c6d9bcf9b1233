"""The ASGI application."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from ..models.checkpoint import Checkpoint, load_checkpoint
from .api import admin, classify, health, huggingface, models, oip, oip_models, openai, tei
from .api.auth import Authenticate
from .api.route import MeasuredRoute, error_response
from .api.shed import Shed
from .engine.runners import Runner
from .errors import Reason, RequestError, internal_error
from .keys import Keys
from .reload import Prepared, Reloader
from .service import Service
from .settings import Settings
from .telemetry.metrics import Metrics
from .telemetry.requests import RequestIds

log = logging.getLogger(__name__)
PROTOCOLS = (
    classify.router,
    openai.router,
    oip.router,
    oip_models.router,
    huggingface.router,
    tei.router,
    tei.about,
)
"""Those of their routes that answer texts are measured."""


def create_app(
    checkpoint: Checkpoint,
    settings: Settings | None = None,
    run: Runner | None = None,
    prepare: Callable[[Checkpoint], Prepared] | None = None,
) -> FastAPI:
    """The server of one checkpoint. run: a backend other than torch.

    prepare: what a reload serves of another checkpoint, and by which backend; by default all of
    it, by torch.
    """
    settings = settings or Settings()
    routers = (*PROTOCOLS, models.router, admin.router, health.router)
    routes = [route for router in routers for route in router.routes]
    measured = [route for route in routes if isinstance(route, MeasuredRoute)]
    metrics = Metrics(
        [route.path for route in measured], checkpoint.students, settings.price_per_hour
    )

    def build(checkpoint: Checkpoint, run: Runner | None) -> Service:
        return Service(checkpoint, settings, metrics, run)

    def load(path: Path | None) -> Prepared:
        weights = checkpoint.model.tokens
        loaded = load_checkpoint(path or checkpoint.path, weights.dtype, str(weights.device))
        return prepare(loaded) if prepare else (loaded, None)

    reloader = Reloader(load, build, build(checkpoint, run))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await reloader.service.start()
        loop = asyncio.get_running_loop()
        if main := threading.current_thread() is threading.main_thread():
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(_reload(reloader)))
        try:
            yield
        finally:
            if main:
                loop.remove_signal_handler(signal.SIGHUP)
            await reloader.stop()

    app = FastAPI(
        title="Nestling",
        summary="The smallest student that is sure answers.",
        version=version("nestling"),
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.reloader = reloader
    for router in routers:
        app.include_router(router)
    app.add_middleware(
        Authenticate, users=Keys.read(settings.api_keys), admins=Keys.read(settings.admin_keys)
    )
    app.add_middleware(Shed, routes=measured)
    app.add_middleware(RequestIds, log_requests=settings.log_requests)
    app.add_exception_handler(404, _not_found)
    app.add_exception_handler(405, _method_not_allowed)
    app.add_exception_handler(Exception, _internal)
    return app


async def _reload(reloader: Reloader) -> None:
    """SIGHUP: what goes wrong is in the log, and the old checkpoint goes on serving."""
    try:
        await reloader.reload()
    except RequestError as error:
        log.error("reload by SIGHUP: %s", error)


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
