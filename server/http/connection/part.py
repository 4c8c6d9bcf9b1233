"""What a connection waits for."""

from __future__ import annotations

from enum import Enum, auto

from ...settings import Settings

LINGER_SECONDS = 2.0
"""That a client has to end its side of a connection that has been ended on ours."""


class Part(Enum):
    """Each has a time of its own."""

    HEADERS = auto()
    BODY = auto()
    REQUEST = auto()
    END = auto()


def times(settings: Settings) -> dict[Part, float]:
    """Seconds that each may take."""
    return {
        Part.HEADERS: settings.header_timeout,
        Part.BODY: settings.body_timeout,
        Part.REQUEST: settings.idle_timeout,
        Part.END: LINGER_SECONDS,
    }
