"""The HTTP of one of many processes: the routes that answer texts, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from ..core.inference import Inference
from ..settings import Settings
from .auth import Keyring
from .connection.head import Head
from .dispatcher import RequestDispatcher
from .lost import ErrorFormats
from .protocols.registry import ROUTERS
from .route import MeasuredRoute


class TextPaths:
    """Which requests ask for answers to texts, by method and path."""

    def __init__(self, routes: Sequence[MeasuredRoute]) -> None:
        self._fixed = {
            (method, route.path)
            for route in routes
            if not route.param_convertors
            for method in route.methods or ()
        }
        self._others = [route for route in routes if route.param_convertors]

    def has(self, head: Head) -> bool:
        """Whether a request does."""
        if (head.method, head.path) in self._fixed:
            return True
        return any(
            head.method in (route.methods or ()) and route.path_regex.match(head.path)
            for route in self._others
        )


def text_routes() -> list[MeasuredRoute]:
    """Of all protocols."""
    routes = [route for router in ROUTERS for route in router.routes]
    return [route for route in routes if isinstance(route, MeasuredRoute) and route.sheds]


def create_front(inference: Inference, settings: Settings, keyring: Keyring) -> RequestDispatcher:
    """What answers texts; for anything else another process is asked."""
    routes = text_routes()
    inference.services.service.metrics.measure(route.path for route in routes)
    traces = None
    if settings.otlp_endpoint:
        from .traces import Traces  # needs an extra

        traces = Traces(settings.otlp_endpoint)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await inference.start()
        try:
            yield
        finally:
            await inference.stop(settings.shutdown_timeout)
            if traces:
                await asyncio.to_thread(traces.close)

    app = _bare(lifespan)
    app.state.draining = False
    app.state.error_formats = ErrorFormats([route for router in ROUTERS for route in router.routes])
    app.state.inference = inference
    return RequestDispatcher(app, routes, keyring, settings.log_requests, traces)


def _bare(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    return FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
