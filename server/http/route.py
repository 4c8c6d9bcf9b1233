"""What all protocols share: routes that render errors and count."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from time import perf_counter
from typing import Any, Self

import orjson
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ..core.inference import Inference
from ..core.service import Service
from ..errors import Reason, RequestError, internal_error
from .errors import NATIVE, ErrorFormat

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def service_of(request: Request) -> Service:
    """The service that answers a request: one and the same from its beginning to its end."""
    service: Service = request.scope["service"]
    return service


def inference_of(request: Request) -> Inference:
    """What answers, with the services and the experiments behind it."""
    inference: Inference = request.scope["inference"]
    return inference


def json_response(
    content: Any, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()
) -> WholeResponse:
    """A body rendered at once: FastAPI's own encoding can cost more than a student."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    return WholeResponse(body, status, headers, b"application/json")


def rendered(body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> WholeResponse:
    """A body that is JSON already, to which a line end is added."""
    return WholeResponse(body + b"\n", 200, headers, b"application/json")


class WholeResponse(Response):
    """An answer that is there as it goes out. headers: names in lower case."""

    def __init__(
        self, body: bytes, status: int, headers: Sequence[tuple[bytes, bytes]], media_type: bytes
    ) -> None:
        self.status_code, self.background, self.body = status, None, body
        length = (b"content-length", b"%d" % len(body))
        self.raw_headers = [*headers, length, (b"content-type", media_type)]


def error_response(
    request: Request, error: RequestError, error_format: ErrorFormat | None = None
) -> Response:
    """Count an error and render it as its protocol does.

    error_format: of the route; None if the request has reached none, but by its path belongs to a
    protocol all the same.
    """
    service_of(request).metrics.error(error.reason)
    error_format = error_format or request.app.state.error_formats.of(request.scope["path"])
    response = json_response(error_format.body(error), error_format.status(error.reason))
    response.headers.update(error.headers or {})
    return response


class ProtocolRoute(APIRoute):
    """Passes the request to its endpoint as it came, and renders its errors."""

    error_format = NATIVE

    @classmethod
    def rendering(cls, error_format: ErrorFormat) -> type[Self]:
        """The same kind of route for a protocol that has an error format of its own."""
        return type(cls.__name__, (cls,), {"error_format": error_format})

    def get_route_handler(self) -> Handler:
        return self.handle_request

    async def handle_request(self, request: Request) -> Response:
        """The endpoint's answer, or the error in the protocol's form."""
        started = perf_counter()
        service = service_of(request)
        service.users += 1
        try:
            endpoint: Handler = self.endpoint
            response = await endpoint(request)
            status = response.status_code
        except Exception as exception:
            error = _as_request_error(exception, self.path)
            response = error_response(request, error, self.error_format)
            status = error.status
        finally:
            service.users -= 1
        if isinstance(self, MeasuredRoute):
            service.metrics.request(self.path, status, perf_counter() - started)
        return response


class MeasuredRoute(ProtocolRoute):
    """A route that answers texts: counted, timed, and shed under overload.

    The status that is counted is an error's own, whatever its protocol makes of it, so that one
    alert on the metrics holds for all protocols.
    """

    sheds = True


class ControlRoute(MeasuredRoute):
    """A route for those who run the server: counted and timed, and there under overload too."""

    sheds = False


def _as_request_error(exception: Exception, path: str) -> RequestError:
    if isinstance(exception, RequestError):
        return exception
    if isinstance(exception, ClientDisconnect):
        return RequestError(Reason.CLIENT_GONE, "the client has gone")
    return internal_error(path)
