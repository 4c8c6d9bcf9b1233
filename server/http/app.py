"""The ASGI application."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from ..console.feed import Feed
from ..core.inference import Inference
from ..core.reload import Reloader
from ..errors import RequestError, internal_error
from ..settings import Settings
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


def create_app(inference: Inference, settings: Settings) -> RequestDispatcher:
    """The HTTP server of what answers."""
    services, experiments = inference.services, inference.experiments
    routers = [*ROUTERS]
    if settings.metrics_port is None:
        routers.append(health.metrics)
    routes = [route for router in routers for route in router.routes]
    measured = [route for route in routes if isinstance(route, MeasuredRoute)]
    services.service.metrics.measure(route.path for route in measured)
    traces = None
    if settings.otlp_endpoint:
        from .traces import Traces  # needs an extra

        traces = Traces(settings.otlp_endpoint)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await inference.start()
        loop = asyncio.get_running_loop()
        if main := threading.current_thread() is threading.main_thread():
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(_reload(services)))
        try:
            yield
        finally:
            if main:
                loop.remove_signal_handler(signal.SIGHUP)
            await inference.stop(settings.shutdown_timeout)
            if traces:
                await asyncio.to_thread(traces.close)

    keyring = Keyring(Keys.read(settings.api_keys), Keys.read(settings.admin_keys))
    app = _with_routes(routers, lifespan, ELSEWHERE if settings.metrics_port is not None else "")
    complete(app, keyring)
    app.state.draining = False
    app.state.error_formats = ErrorFormats(routes)
    app.state.inference = inference
    app.state.feed = Feed(
        services, {route.path for route in measured if route.sheds}, experiments is not None
    )
    return RequestDispatcher(app, measured, keyring, settings.log_requests, traces)


def create_operations(dispatcher: RequestDispatcher) -> RequestDispatcher:
    """What a port of its own serves of the same server, without keys: metrics and health."""
    app = _with_routes([health.metrics, health.router])
    app.state = dispatcher.app.state
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
