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

from ...experiments.runtime import Experiments, known_of
from ...models.checkpoint.manifest import Manifest
from ..console.feed import Feed
from ..core.inference import Inference
from ..core.reload import Load, Reloader
from ..core.service import Service
from ..engine.executor import Executor
from ..errors import RequestError, internal_error
from ..settings import Settings
from ..telemetry.experiments import ExperimentMetrics
from ..telemetry.metrics import Metrics
from .auth import Keyring
from .dispatcher import RequestDispatcher
from .docs import routes as docs
from .docs.description import complete
from .keys import Keys
from .lost import ErrorFormats, no_such_method, no_such_path
from .protocols.admin import health
from .protocols.registry import ROUTERS
from .route import MeasuredRoute, error_response

log = logging.getLogger(__name__)
ELSEWHERE = "`/metrics` is on [a port of its own](console/metrics)."
"""What the documentation of the main port says where that is so."""


def create_app(
    backend: Executor,
    settings: Settings,
    load: Load,
    engine: Engine | None = None,
) -> RequestDispatcher:
    """The server of one checkpoint at a time.

    load: another backend: of the checkpoint at a path, or again of that given at start; by another
    runner, or the same. engine: the open database of experiments; None keeps no record.
    """
    routers = [*ROUTERS]
    if settings.metrics_port is None:
        routers.append(health.metrics)
    routes = [route for router in routers for route in router.routes]
    measured = [route for route in routes if isinstance(route, MeasuredRoute)]
    metrics = Metrics(
        [route.path for route in measured], backend.manifest.students, settings.price_per_hour
    )

    def build(backend: Executor) -> Service:
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
        from ..telemetry.traces import Traces  # needs an extra

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

    keyring = Keyring(Keys.read(settings.api_keys), Keys.read(settings.admin_keys))
    app = _with_routes(routers, lifespan, ELSEWHERE if settings.metrics_port is not None else "")
    complete(app, keyring)
    app.state.reloader = reloader
    app.state.draining = False
    app.state.error_formats = ErrorFormats(routes)
    app.state.inference = Inference(reloader, running)
    app.state.feed = Feed(
        reloader, {route.path for route in measured if route.sheds}, running is not None
    )
    return RequestDispatcher(app, measured, keyring, settings.log_requests, traces)


def create_operations(front: RequestDispatcher) -> RequestDispatcher:
    """What a port of its own serves of the same server, without keys: metrics and health."""
    app = _with_routes([health.metrics, health.router])
    app.state = front.app.state
    return RequestDispatcher(app, [], Keyring(Keys({}), Keys({})), log_requests=False)


def _with_routes(
    routers: Iterable[APIRouter],
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
    description: str = "",
) -> FastAPI:
    app = FastAPI(
        title="Nestling",
        summary="The smallest student that is sure answers.",
        description=description,
        version=version("nestling"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={Exception: _internal},
    )
    routes = list(app.routes)  # FastAPI's own; later there are only those in their routers
    for router in (*routers, docs.router):
        app.include_router(router)
        routes += router.routes

    async def not_found(request: Request, _: Exception) -> Response:
        return error_response(request, no_such_path(request.scope["path"], routes))

    async def method_not_allowed(request: Request, _: Exception) -> Response:
        error = no_such_method(request.method, request.scope["path"], routes)
        return error_response(request, error)

    app.add_exception_handler(404, not_found)
    app.add_exception_handler(405, method_not_allowed)
    return app


async def _reload(reloader: Reloader) -> None:
    """SIGHUP: what goes wrong is in the log, and the old checkpoint goes on serving."""
    try:
        await reloader.reload()
    except RequestError as error:
        log.error("reload by SIGHUP: %s", error)


async def _internal(request: Request, _: Exception) -> Response:
    return error_response(request, internal_error(request.url.path))
