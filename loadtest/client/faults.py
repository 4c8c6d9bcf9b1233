"""Clients that misbehave, each on a connection of its own."""

from __future__ import annotations

from enum import StrEnum

from .connection import Exchange, Failure, LoadConnection
from .send_loop import SendLoop

PIECES = 10
"""The number of pieces in which a slow client sends its request."""
LEAVES_AFTER = 0.002
"""Seconds until a client goes away, so that its request has arrived."""
MALFORMED = b'{"inputs": ["'


class Fault(StrEnum):
    """How a client misbehaves.

    A slow client sends its request in pieces; `disconnect` closes the connection without waiting
    for the answer; a malformed request is not JSON.
    """

    SLOW = "slow"
    DISCONNECT = "disconnect"
    MALFORMED = "malformed"


def commit(loop: SendLoop, fault: Fault, exchange: Exchange, slow_seconds: float) -> None:
    """Send the exchange's request as such a client does.

    slow_seconds: the time from the first piece to the last.
    """
    payload = exchange.payload
    if fault is Fault.MALFORMED:
        head, _, body = payload.partition(b"\r\n\r\n")
        broken = MALFORMED[: len(body)].ljust(len(body), b"x")
        loop.submit_apart(exchange, head + b"\r\n\r\n" + broken)
    elif fault is Fault.DISCONNECT:
        _leave(loop, loop.submit_apart(exchange, payload), exchange)
    else:
        size = -(-len(payload) // PIECES)
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
        connection = loop.submit_apart(exchange, pieces[0])
        for number, piece in enumerate(pieces[1:], 1):
            _later(loop, connection, exchange, number * slow_seconds / PIECES, piece)


def _leave(loop: SendLoop, connection: LoadConnection, exchange: Exchange) -> None:
    def leave() -> None:
        # Else it has been answered, and the connection may carry another.
        if connection.exchange is exchange:
            connection.close(Failure.LEFT)

    loop.at(exchange.due + LEAVES_AFTER, leave)


def _later(
    loop: SendLoop, connection: LoadConnection, exchange: Exchange, delay: float, piece: bytes
) -> None:
    def write() -> None:
        if connection.exchange is exchange:  # else it was answered before all was sent
            connection.write(piece)

    loop.at(exchange.due + delay, write)
