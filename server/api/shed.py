"""Too much load is turned away here, before anything is authenticated, routed or read.

Under overload most requests end here, so this has to be the cheapest way through the server.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import RequestError
from .route import MeasuredRoute, error_response, service_of


class Shed:
    """ASGI middleware. routes: those that answer texts; all else passes."""

    def __init__(self, app: ASGIApp, routes: Sequence[MeasuredRoute]) -> None:
        self._app, self._routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            service = service_of(request)
            try:
                service.check_load()
            except RequestError as error:
                if (path := self._route(scope["path"])) is not None:
                    service.metrics.request(path, error.status, 0.0)
                    await error_response(request, error)(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _route(self, path: str) -> str | None:
        """The route that would answer, as the metrics name it."""
        return next((r.path for r in self._routes if r.path_regex.match(path)), None)
