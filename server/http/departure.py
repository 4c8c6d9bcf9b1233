"""What a connection tells a request beside ASGI: that its client has gone, and its body in one.

Such a task would cost more than a small student. Other ASGI servers than ours, such as that of a
test client, offer nothing here; then nobody learns it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

CONNECTION = "nestling.connection"
"""Where ASGI's scope has a `RequestConnection`, if its server offers one."""


class RequestConnection(Protocol):
    """One request on its connection.

    gone: the client has gone away. leave: what is called once if it goes away; None for nothing.
    """

    gone: bool
    leave: Callable[[], None] | None

    def give(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """An answer as a whole; whether it is given, which it is not while its client reads too
        slowly.
        """

    def whole_body(self) -> bytearray | None:
        """The body, if all of it has come and nobody has taken any of it; it is taken now."""
