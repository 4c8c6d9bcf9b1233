"""What a connection of ours offers an answer beyond ASGI, which costs more than a small student.

Other ASGI servers, such as that of a test client, have none; then all goes the way of ASGI.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, cast

from starlette.types import Scope

WIRE = "nestling.wire"


class DirectResponse(Protocol):
    """One request on its connection."""

    def take_body(self) -> bytes | bytearray | None:
        """The body if all of it has come, as with most requests; None if it has to be awaited."""

    def when_gone(self, leave: Callable[[], None] | None) -> None:
        """Call once if the client goes away before it is answered; None: not any more."""

    async def reply(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send the whole answer, in one piece; that to HEAD without its body.

        headers: checked already, names in lower case.
        """


def wire_of(scope: Scope) -> DirectResponse | None:
    """That of a request, if its connection has one."""
    return cast("DirectResponse | None", scope.get(WIRE))
