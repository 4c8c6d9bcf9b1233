"""Connections of clients that are slow, idle, or mean to hold the server up.

uvicorn closes an idle connection, and waits without end for a request that has begun. Here a
request has a time to be complete: its headers, then its body.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from types import MethodType
from typing import Any, cast

import uvicorn
from starlette.requests import Request
from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    HTTPScope,
)
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from .api.front import Front
from .api.route import error_response
from .api.wire import WIRE
from .errors import Reason, RequestError
from .settings import Settings


class Config(uvicorn.Config):
    """uvicorn's, with the times of the settings, and nothing said but of what goes wrong."""

    def __init__(self, front: Front, settings: Settings, shutdown_timeout: int) -> None:
        super().__init__(
            front,
            http=Connection,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nothing here asks who the client is
            timeout_keep_alive=settings.idle_timeout,
            timeout_graceful_shutdown=shutdown_timeout,
        )
        self.front = front
        self.settings = settings


class Part(Enum):
    """What of a request is being read."""

    HEADERS = auto()
    BODY = auto()


class CycleWire:
    """Reaches past ASGI, to uvicorn's own account of a request."""

    __slots__ = ("_cycle", "leave")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self.leave: Callable[[], None] | None = None

    def take_body(self) -> bytes | None:
        cycle = self._cycle
        if cycle.more_body:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.flow.resume_reading()
        return body

    def when_gone(self, leave: Callable[[], None] | None) -> None:
        self.leave = leave
        if leave and self._cycle.disconnected:
            leave()

    async def reply(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        cycle.response_started = cycle.response_complete = True
        all_headers = [*cycle.default_headers, *headers]
        if not cycle.keep_alive:
            all_headers.append((b"connection", b"close"))
        cycle.transport.write(_head(status, all_headers) + body)
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


class Connection(HttpToolsProtocol):
    """HTTP/1.1 on one connection.

    A request that is there at once, as nearly all are, costs no timer: only what is still missing
    when all that has come is read gets one. Who is late gets 408 in the form of its protocol, and
    the connection is closed.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._front = config.front
        self._seconds = {
            Part.HEADERS: config.settings.header_timeout,
            Part.BODY: config.settings.body_timeout,
        }
        self._part: Part | None = None
        self._awaited: Part | None = None
        self._timer: TimerHandle | None = None
        self._overdue: RequestResponseCycle | None = None
        self._wire: CycleWire | None = None
        self._loaded_app: ASGI3Application = self.app
        self.app = self._answer

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self._await(Part.HEADERS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(None)
        self.app = self._loaded_app  # or the connection would hold itself in memory
        super().connection_lost(exc)
        if self._wire and self._wire.leave:
            self._wire.leave()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._part is None and not self._answering:
            self._await(Part.HEADERS)  # line ends between requests, say, must not hold us either
        else:
            self._await(self._part)

    def on_message_begin(self) -> None:
        self._part = Part.HEADERS
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._part = Part.BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._part = None
        super().on_message_complete()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await(self, part: Part | None) -> None:
        if part is self._awaited:
            return
        self._awaited = part
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if part:
            self._timer = self.loop.call_later(self._seconds[part], self._expire, part)

    def _expire(self, part: Part) -> None:
        if self.flow.read_paused:  # it is the server that does not read on
            self._timer = self.loop.call_later(self._seconds[part], self._expire, part)
            return
        if self._answering and part is Part.BODY:
            self._overdue = self.cycle
            self.cycle.message_event.set()
        elif not self._answering and self._part is Part.HEADERS:
            self._refuse()
        self.shutdown()  # now, or when the answer that is under way has gone

    def _refuse(self) -> None:
        """Nobody answers a request whose headers are not there but the connection itself."""
        path = self.url.decode("ascii", "replace").partition("?")[0]
        known = path if path.startswith("/") else "/unknown"
        scope = {**self.scope, "app": self._front.app, "path": known}
        response = error_response(Request(scope), self._late(Part.HEADERS))
        headers = [*self.server_state.default_headers, *response.raw_headers]
        self.transport.write(_head(response.status_code, headers) + bytes(response.body))

    def _answer(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> Awaitable[None]:
        # Not self.cycle: there may be another request behind this one already.
        cycle = cast(RequestResponseCycle, cast(MethodType, send).__self__)
        self._wire = CycleWire(cycle)
        cast(dict[str, Any], scope)[WIRE] = self._wire
        if cycle.more_body:
            receive = self._in_time(cycle)
        return self._loaded_app(scope, receive, send)

    def _in_time(self, cycle: RequestResponseCycle) -> ASGIReceiveCallable:
        async def receive() -> ASGIReceiveEvent:
            message = await cycle.receive()
            if cycle is self._overdue:
                raise self._late(Part.BODY)
            return message

        return receive

    def _late(self, part: Part) -> RequestError:
        name, limit = part.name.lower(), self._seconds[part]
        return RequestError(
            Reason.REQUEST_TIMEOUT,
            f"the request's {name} took longer than {limit} s",
            headers={"Connection": "close"},
            limit=limit,
        )


def _head(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    return b"".join((STATUS_LINE[status], *lines, b"\r\n"))
