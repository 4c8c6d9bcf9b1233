"""Connections on their way to a process that has no room for them."""

from __future__ import annotations

import asyncio
import os
import resource
import socket

import pytest

from nestling.server.supervisor.handing import Handing


def test_a_connection_for_which_no_descriptor_is_left_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: list[bytes] = []
    lost: list[None] = []

    def take(connection: socket.socket, begun: bytes) -> None:
        connection.close()
        taken.append(begun)

    async def hand() -> None:
        ours, theirs = Handing.pair()
        end = Handing(theirs, take, lambda: lost.append(None))
        start = Handing(ours, lambda *_: None)
        one, other = socket.socketpair()
        start.hand(one, b"lost")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        os.close(free)
        held = []
        try:
            while True:
                try:
                    held.append(os.dup(0))
                except OSError:
                    break
            end.receive()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for each in held:
                os.close(each)
        start.hand(other, b"taken")
        end.receive()
        start.close()
        end.close()

    asyncio.run(hand())
    assert (len(lost), taken) == (1, [b"taken"])
    assert "no descriptor left" in caplog.text
