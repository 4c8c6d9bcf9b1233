"""Too much load is turned away here, before anything is authenticated, routed or read.

Under overload most requests end here, so this has to be the cheapest way through the server.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import RequestError
from .route import error_response, service_of


class Shed:
    """ASGI middleware. paths: of the routes that answer texts; all else passes."""

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        self._app, self._paths = app, frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in self._paths:
            request = Request(scope)
            service = service_of(request)
            try:
                service.check_load()
            except RequestError as error:
                service.metrics.request(scope["path"], error.status, 0.0)
                await error_response(request, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)
