"""How a request learns that its client has gone, which ASGI says only to a task that waits for it.

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
