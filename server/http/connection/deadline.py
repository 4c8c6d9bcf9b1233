"""The time by which what is waited for must have come, on the way of every request."""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from enum import Enum, auto

from ...settings import Settings
from .refusal import Refusal, RefusalError

LINGER_SECONDS = 2.0
"""That a client has to end its side of a connection that has been ended on ours."""


class Part(Enum):
    """What is waited for."""

    HEADERS = auto()
    BODY = auto()
    REQUEST = auto()
    END = auto()


LATE = {Part.HEADERS: Refusal.HEADER_TIMEOUT, Part.BODY: Refusal.BODY_TIMEOUT}


class Deadline:
    """Calls `expire` with what has not come in time. part: what is waited for now; None: nothing.

    Moving it on, as each request does, costs no timer. The one that there is sleeps again if it
    wakes too early; only a deadline before that needs another.
    """

    def __init__(
        self, loop: AbstractEventLoop, settings: Settings, expire: Callable[[Part], None]
    ) -> None:
        self.part: Part | None = None
        self._loop, self._expire = loop, expire
        self._seconds = {
            Part.HEADERS: settings.header_timeout,
            Part.BODY: settings.body_timeout,
            Part.REQUEST: settings.idle_timeout,
            Part.END: LINGER_SECONDS,
        }
        self._at = 0.0
        self._timer: TimerHandle | None = None

    def set(self, part: Part) -> None:
        """Wait for a part. Its time runs from the first time that it is said."""
        if part is self.part:
            return
        self.part = part
        self._at = at = self._loop.time() + self._seconds[part]
        if self._timer is None or self._timer.when() > at:
            self._arm(at)

    def clear(self) -> None:
        """Nothing is waited for."""
        self.part = None

    def end(self) -> None:
        """Nothing ever will be. Its owner is let go: the two would hold each other in memory."""
        self.part, self._expire = None, _nothing
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def error(self, part: Part) -> RefusalError:
        """What a client is told that was late with it."""
        name, limit = part.name.lower(), self._seconds[part]
        return RefusalError(
            LATE[part], f"the request's {name} took longer than {limit} s", limit=limit
        )

    def _arm(self, at: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._wake)

    def _wake(self) -> None:
        self._timer, part = None, self.part
        if part is None:
            return
        if self._loop.time() < self._at:
            self._arm(self._at)
        else:
            self.part = None
            self._expire(part)


def _nothing(_: Part) -> None:
    pass
