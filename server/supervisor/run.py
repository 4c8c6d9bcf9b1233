"""From an application to a process that answers, and to its end without a lost answer."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from threading import Thread

import uvicorn

from ..http.app import create_operations
from ..http.connection.config import Config
from ..http.connection.elsewhere import Elsewhere
from ..http.connection.head import Head
from ..http.dispatcher import RequestDispatcher
from ..http.front import TextPaths, text_routes
from ..settings import Settings
from .accepting import Accepting, connect
from .fronts import Fronts
from .garbage import settle
from .listeners import Listeners


def run(
    dispatcher: RequestDispatcher,
    settings: Settings,
    listeners: Listeners,
    announce: Callable[[], None],
    fronts: Fronts | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish every accepted request.

    announce: called once requests are answered. fronts: which answer texts, if this process does
    not. Raises KeyboardInterrupt if it is stopped before.
    """
    operations = None
    if listeners.metrics is not None:
        operations = _Operations(create_operations(dispatcher), settings, listeners.metrics)
    sockets = [listeners.main]
    server = _Server(dispatcher, settings, operations, announce)
    if fronts is not None:
        server = _FrontedServer(dispatcher, settings, operations, announce, listeners.main, fronts)
        sockets = []
    # From here on and not only while it runs: what comes before would be lost. And uvicorn raises
    # the signal that stopped it once more after its work is done; that would end an orderly stop
    # with the status of a killed process.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    try:
        server.run(sockets=sockets)
    finally:
        if operations:
            operations.stop()


class _Operations:
    """A port of its own for metrics and health, in a thread of its own.

    So it answers while the event loop of the others has its hands full, and until the last of their
    requests has ended.
    """

    def __init__(
        self, dispatcher: RequestDispatcher, settings: Settings, listener: socket.socket
    ) -> None:
        self._listener = listener
        self._server = uvicorn.Server(Config(dispatcher, settings, shutdown_timeout=1))
        self._thread = Thread(
            target=self._server.run, args=([listener],), name="operations", daemon=True
        )

    def start(self) -> None:
        self._listener.listen()  # from here on nobody is refused, though the thread may be late
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()


class _Server(uvicorn.Server):
    def __init__(
        self,
        dispatcher: RequestDispatcher,
        settings: Settings,
        operations: _Operations | None,
        announce: Callable[[], None],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        super().__init__(Config(dispatcher, settings, settings.shutdown_timeout, elsewhere))
        self._dispatcher, self._operations, self._announce = dispatcher, operations, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.should_exit:  # it was stopped before anybody could ask
            await self.shutdown(sockets)
            raise KeyboardInterrupt
        if self.started:
            if self._operations:
                self._operations.start()
            settle()
            self._listen()
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._drain()
        await super().shutdown(sockets)

    def _listen(self) -> None:
        """What there is to listen on, uvicorn does."""

    def _drain(self) -> None:
        self._dispatcher.app.state.draining = True
        self._dispatcher.app.state.feed.close()  # or its listeners would hold the others up


class _FrontedServer(_Server):
    """Accepts connections, and has the fronts answer them, but for what is the supervisor's."""

    def __init__(
        self,
        dispatcher: RequestDispatcher,
        settings: Settings,
        operations: _Operations | None,
        announce: Callable[[], None],
        listener: socket.socket,
        fronts: Fronts,
    ) -> None:
        super().__init__(dispatcher, settings, operations, announce, self)
        self._listener, self._fronts = listener, fronts
        self._texts = TextPaths(text_routes())
        self._accepting: Accepting | None = None
        self._tasks: set[asyncio.Task[bool]] = set()

    def answers(self, head: Head) -> bool:
        """Whether a front answers a request."""
        return self._texts.has(head)

    def take(self, connection: socket.socket, begun: bytes) -> None:
        """Have a front answer on a connection."""
        self._fronts.hand(connection, begun)

    def _listen(self) -> None:
        self._fronts.serve_others(self._answer)
        self._accepting = Accepting(self._listener, self._fronts.spread)

    def _answer(self, connection: socket.socket, begun: bytes) -> None:
        task = asyncio.create_task(connect(self, connection, begun))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._drain()
        if self._accepting:
            self._accepting.close()
        await self._fronts.drain()
        await super().shutdown(sockets)
