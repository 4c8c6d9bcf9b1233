"""What a connection of ours offers an answer beyond ASGI, which costs more than a small student.

Other ASGI servers, such as that of a test client, have none; then all goes the way of ASGI.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

WIRE = "nestling.wire"
"""Where ASGI's scope has a `DirectResponse`, if its connection offers one."""


class DirectResponse(Protocol):
    """One request on its connection.

    gone: the client has gone away. leave: what is called once if it goes away; None for nothing.
    """

    gone: bool
    leave: Callable[[], None] | None

    def take_body(self) -> bytes | bytearray | None:
        """The body if all of it has come, as with most requests; None if it has to be awaited."""

    async def reply(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send the whole answer, in one piece; that to HEAD without its body.

        headers: checked already, names in lower case.
        """
