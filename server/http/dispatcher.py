"""The way in: what every request passes before, or instead of, FastAPI.

A request gets its id, is turned away if the load or a missing key demands it, and goes to its
route. Routes that answer texts are called from here: the layers that FastAPI puts around a route
cost more than a small student, and under overload most requests end here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ..core.inference import Inference
from ..core.service import Service
from ..errors import Refusal, RequestError
from ..telemetry.requests import REQUEST_ID
from .auth import KeyNeeded, Keyring
from .departure import CONNECTION, RequestConnection
from .headers import id_of
from .route import MeasuredRoute, WholeResponse, error_response

if TYPE_CHECKING:
    from .traces import Traces  # needs an extra

log = logging.getLogger(__name__)


class RequestDispatcher:
    """The ASGI application. routes: those that are measured. app: for all else.

    traces: what is told of each request that has ended; None if nobody wants to know.
    """

    def __init__(
        self,
        app: FastAPI,
        routes: Sequence[MeasuredRoute],
        keyring: Keyring,
        log_requests: bool,
        traces: Traces | None = None,
    ) -> None:
        self.app = app
        self._inference: Inference = app.state.inference
        self._fixed = {route.path: route for route in routes if not route.param_convertors}
        self._others = [route for route in routes if route.param_convertors]
        self._keyring, self._log_requests, self._traces = keyring, log_requests, traces
        self._open = {
            (route.path, method)
            for route in routes
            for method in route.methods or ()
            if keyring.wants(route.path, method) is KeyNeeded.NOTHING
        }
        """Paths of routes, with methods, for which nobody needs a key."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, method = perf_counter(), 0, scope["method"]
        if method == "HEAD":  # is answered as GET is, and its connection leaves the body out
            scope["method"] = "GET"
        request_id = id_of(scope["headers"])
        named = (b"x-request-id", request_id.encode())
        token = REQUEST_ID.set(request_id)
        try:
            request, route = self._begin(scope, receive)
            response = self._refused(request, route)
            if response is None and route is not None:
                response = await route.handle_request(request)
            if response is None:

                async def send_with_id(message: Message) -> None:
                    nonlocal status
                    if message["type"] == "http.response.start":
                        status = message["status"]
                        message["headers"].append(named)
                    await send(message)

                await self.app(scope, receive, send_with_id)
            else:
                status, headers = response.status_code, response.raw_headers
                headers.append(named)
                connection: RequestConnection | None = scope.get(CONNECTION)
                given = (
                    connection is not None
                    and isinstance(response, WholeResponse)
                    and connection.give(status, headers, bytes(response.body))
                )
                if not given:
                    await response(scope, receive, send)
        finally:
            scope["method"] = method
            # It knows the scope: the two would hold each other in memory.
            scope.pop(CONNECTION, None)
            if self._traces:
                self._traces.request(scope, status, perf_counter() - started)
            if self._log_requests:
                milliseconds = 1e3 * (perf_counter() - started)
                log.info("%s %s %d %.1f ms", scope["method"], scope["path"], status, milliseconds)
            REQUEST_ID.reset(token)

    def refuse(self, path: str, error: RequestError) -> Response:
        """What is answered, in the form of its protocol, to a request that reaches no route."""
        service = self._inference.services.service
        scope = {"type": "http", "app": self.app, "path": path, "headers": [], "service": service}
        response = error_response(Request(scope), error)
        request_id = response.headers["x-request-id"] = id_of(())
        if self._log_requests:
            token = REQUEST_ID.set(request_id)
            log.info("%s refused: %d %s", path, response.status_code, error)
            REQUEST_ID.reset(token)
        return response

    def count(self, refusal: Refusal) -> None:
        """A connection has refused a request, or cut it off."""
        self._inference.services.service.metrics.refused(refusal)

    def _begin(self, scope: Scope, receive: Receive) -> tuple[Request, MeasuredRoute | None]:
        """A request, and its route; None if it is FastAPI's to answer."""
        scope["app"], scope["inference"] = self.app, self._inference
        scope["service"] = self._inference.services.service  # the same from here to the end
        route, parameters = self._find(scope["path"])
        if route is not None and scope["method"] in (route.methods or ()):
            scope["path_params"] = parameters
        else:
            route = None
        scope["route"] = route
        return Request(scope, receive), route

    def _find(self, path: str) -> tuple[MeasuredRoute | None, dict[str, Any]]:
        if route := self._fixed.get(path):
            return route, {}
        for route in self._others:
            if match := route.path_regex.match(path):
                return route, match.groupdict()
        return None, {}

    def _refused(self, request: Request, route: MeasuredRoute | None) -> Response | None:
        scope = request.scope
        service: Service = scope["service"]
        try:
            if route is not None and route.sheds:
                service.load.check_delay()
            if route is None or (route.path, scope["method"]) not in self._open:
                self._keyring.check(request)
        except RequestError as error:
            if route is not None:
                service.metrics.request(route.path, error.status, 0.0)
            return error_response(request, error, route.error_format if route else None)
        return None
