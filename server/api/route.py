"""What all protocols share: a measured route, the error form, an answer that may be unwanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from time import perf_counter
from typing import Any, TypeVar, cast

import orjson
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..errors import STATUS, Reason, RequestError, internal_error
from ..reload import Reloader
from ..service import Service

T = TypeVar("T")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def service_of(request: Request) -> Service:
    """The service that answers a request: one and the same from its beginning to its end."""
    return cast(Service, getattr(request.state, "service", reloader_of(request).service))


def reloader_of(request: Request) -> Reloader:
    """What replaces the service."""
    return cast(Reloader, request.app.state.reloader)


def json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A body rendered at once: FastAPI's own encoding can cost more than a student."""
    return Response(
        orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE),
        status,
        headers,
        media_type="application/json",
    )


def error_response(request: Request, error: RequestError) -> Response:
    """Count an error and render it."""
    service_of(request).metrics.error(error.reason)
    response = json_response(error.to_json(), error.status)
    response.headers.update(error.headers or {})
    return response


class MeasuredRoute(APIRoute):
    """Passes the request to its endpoint as it came, counts and times it, renders its errors."""

    def get_route_handler(self) -> Handler:
        path, endpoint = self.path, cast(Handler, self.endpoint)

        async def handle(request: Request) -> Response:
            started = perf_counter()
            service = request.state.service = reloader_of(request).service
            service.users += 1
            try:
                response = await endpoint(request)
            except RequestError as error:
                response = error_response(request, error)
            except ClientDisconnect:
                gone = RequestError(Reason.CLIENT_GONE, "the client has gone")
                response = error_response(request, gone)
            except Exception:
                response = error_response(request, internal_error(path))
            finally:
                service.users -= 1
            seconds = perf_counter() - started
            service_of(request).metrics.request(path, response.status_code, seconds)
            return response

        return handle


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client goes away. The body must be read.

    Raises ClientDisconnect in that case.
    """
    task = asyncio.ensure_future(work)
    # With the body read, the next message can only be the disconnect.
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


def error_examples(*reasons: Reason) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route's errors."""
    texts: dict[int, list[str]] = {}
    for reason in reasons:
        texts.setdefault(STATUS[reason], []).append(f"`{reason}`")
    return {
        status: {
            "description": ", ".join(names),
            "content": {"application/json": {"schema": ERROR_SCHEMA}},
        }
        for status, names in texts.items()
    }


ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "type": {"enum": [reason.value for reason in Reason]},
                "message": {"type": "string"},
                "field": {"type": "string"},
                "limit": {"type": "integer"},
                "actual": {"type": "integer"},
            },
            "required": ["type", "message"],
        }
    },
}
REQUEST_ERRORS = error_examples(
    *(
        r
        for r in Reason
        if r not in (Reason.NOT_FOUND, Reason.METHOD_NOT_ALLOWED, Reason.CLIENT_GONE)
    )
)
