"""The ASGI application."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response

from ..models.manifest import Manifest
from .api import (
    admin,
    classify,
    experiments,
    health,
    huggingface,
    models,
    oip,
    oip_models,
    openai,
    outcomes,
    tei,
)
from .api.auth import Keyring
from .api.front import Front
from .api.route import MeasuredRoute, error_response
from .console import routes as console
from .console.feed import Feed
from .engine.backend import Backend
from .errors import Reason, RequestError, internal_error
from .experiments.live import Experiments, known_of
from .keys import Keys
from .reload import Load, Reloader
from .service import Service
from .settings import Settings
from .telemetry.experiments import ExperimentMetrics
from .telemetry.metrics import Metrics

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
    backend: Backend,
    settings: Settings,
    load: Load,
    engine: Engine | None = None,
) -> Front:
    """The server of one checkpoint at a time.

    load: another backend: of the checkpoint at a path, or again of that given at start; by another
    runner, or the same. engine: the open database of experiments; None keeps no record.
    """
    routers = [
        *PROTOCOLS,
        models.router,
        experiments.router,
        outcomes.router,
        admin.router,
        health.router,
        console.router,
    ]
    if settings.metrics_port is None:
        routers.append(health.metrics)
    routes = [route for router in routers for route in router.routes]
    measured = [route for route in routes if isinstance(route, MeasuredRoute)]
    metrics = Metrics(
        [route.path for route in measured], backend.manifest.students, settings.price_per_hour
    )

    def build(backend: Backend) -> Service:
        return Service(backend, settings, metrics)

    def accept(manifest: Manifest) -> None:
        if running:
            running.accept(known_of(manifest))

    reloader = Reloader(load, build, build(backend), accept)
    running = None
    if engine is not None:
        running = Experiments(
            engine,
            lambda: known_of(reloader.service.manifest),
            reloader.pin,
            ExperimentMetrics(metrics.registry),
            timedelta(days=settings.keep_days) if settings.keep_days else None,
        )
    traces = None
    if settings.otlp_endpoint:
        from .telemetry.traces import Traces  # needs an extra

        traces = Traces(settings.otlp_endpoint)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await reloader.start()
        if running:
            await running.start()
        loop = asyncio.get_running_loop()
        if main := threading.current_thread() is threading.main_thread():
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(_reload(reloader)))
        try:
            yield
        finally:
            if main:
                loop.remove_signal_handler(signal.SIGHUP)
            await reloader.stop()
            if running:
                await running.stop(settings.shutdown_timeout)
            if traces:
                await asyncio.to_thread(traces.close)

    app = _with_routes(routers, lifespan)
    app.state.reloader = reloader
    app.state.draining = False
    app.state.experiments = running
    app.state.feed = Feed(
        reloader, {route.path for route in measured if route.sheds}, running is not None
    )
    keyring = Keyring(Keys.read(settings.api_keys), Keys.read(settings.admin_keys))
    return Front(app, measured, keyring, settings.log_requests, traces)


def create_operations(front: Front) -> Front:
    """What a port of its own serves of the same server, without keys: metrics and health."""
    app = _with_routes([health.metrics, health.router])
    app.state = front.app.state
    return Front(app, [], Keyring(Keys({}), Keys({})), log_requests=False)


def _with_routes(
    routers: Iterable[APIRouter],
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    app = FastAPI(
        title="Nestling",
        summary="The smallest student that is sure answers.",
        version=version("nestling"),
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            404: _not_found,
            405: _method_not_allowed,
            Exception: _internal,
        },
    )
    for router in routers:
        app.include_router(router)
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
    headers = dict(getattr(error, "headers", None) or {})
    allowed = headers.get("Allow", "").replace("GET", "GET, HEAD")
    headers["Allow"] = allowed
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
