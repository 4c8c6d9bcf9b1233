"""From an application to a process that answers, and to its end without a lost answer."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Callable
from threading import Thread

import uvicorn

from ..http.app import create_operations
from ..http.connection.config import Config
from ..http.dispatcher import RequestDispatcher
from ..settings import Settings
from .listeners import Listeners

GARBAGE = (50_000, 50, 100)
"""Objects, and rounds, after which Python looks for garbage in cycles: hardly anything here is in
one. By default it looks after each 700 objects, which took a fifth of the time under load."""


def run(
    dispatcher: RequestDispatcher,
    settings: Settings,
    listeners: Listeners,
    announce: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then finish every accepted request.

    announce: called once requests are answered. Raises KeyboardInterrupt if it is stopped before.
    """
    operations = None
    if listeners.metrics is not None:
        operations = _Operations(create_operations(dispatcher), settings, listeners.metrics)
    server = _Server(dispatcher, settings, operations, announce)
    # From here on and not only while it runs: what comes before would be lost. And uvicorn raises
    # the signal that stopped it once more after its work is done; that would end an orderly stop
    # with the status of a killed process.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    try:
        server.run(sockets=[listeners.main])
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
    ) -> None:
        super().__init__(Config(dispatcher, settings, settings.shutdown_timeout))
        self._dispatcher, self._operations, self._announce = dispatcher, operations, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.should_exit:  # it was stopped before anybody could ask
            await self.shutdown(sockets)
            raise KeyboardInterrupt
        if self.started:
            if self._operations:
                self._operations.start()
            gc.collect()
            gc.freeze()  # what is there now stays, and is not looked through again
            gc.set_threshold(*GARBAGE)
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._dispatcher.app.state.draining = True
        self._dispatcher.app.state.feed.close()  # or its listeners would hold the others up
        await super().shutdown(sockets)
