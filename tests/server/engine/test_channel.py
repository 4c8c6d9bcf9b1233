"""Messages between the server and its worker, however the socket cuts them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.server.engine.executor import ExecutorGoneError
from nestling.server.engine.worker.channel import BlockingChannel, FrameDecoder, packed
from nestling.server.engine.worker.client import WorkerConnection
from nestling.server.engine.worker.messages import Embed, Failed


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 40))
def test_messages_come_out_as_they_went_in(messages: list[bytes], size: int) -> None:
    stream = b"".join(map(packed, messages))
    inbox, found = FrameDecoder(), []
    for start in range(0, len(stream), size):
        inbox.put(stream[start : start + size])
        found += list(inbox)
    assert found == messages


def test_a_channel_waits_for_each_message_and_for_the_end() -> None:
    ours, theirs = socket.socketpair()
    channel, other = BlockingChannel(ours), BlockingChannel(theirs)
    array = np.arange(10_000, dtype=np.float32)
    channel.send(Embed([[1, 2]], "tiny", 3))
    channel.send(array)
    assert other.receive() == Embed([[1, 2]], "tiny", 3)
    assert (other.receive() == array).all()
    channel.close()
    with pytest.raises(EOFError):
        other.receive()
    other.close()


def linked(scenario: Callable[[WorkerConnection, BlockingChannel], Awaitable[None]]) -> None:
    """Run a scenario at both ends."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        worker = BlockingChannel(theirs)
        link = await WorkerConnection.over(ours, lambda _: None)
        try:
            await asyncio.wait_for(scenario(link, worker), timeout=30)
        finally:
            link.close()
            worker.close()

    asyncio.run(main())


def test_answers_come_in_the_order_of_the_requests() -> None:
    async def scenario(link: WorkerConnection, worker: BlockingChannel) -> None:
        asked = [link.ask(number) for number in range(3)]
        given_up = asked.pop(1)
        given_up.cancel()
        for _ in range(3):
            worker.send(10 * await asyncio.to_thread(worker.receive))
        assert await asyncio.gather(*asked) == [0, 20]

    linked(scenario)


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (Failed("memory", "of the device"), MemoryError),
        (Failed("error", "Traceback: division"), RuntimeError),
    ],
)
def test_what_fails_in_the_worker_is_raised_here(failed: Failed, expected: type[Exception]) -> None:
    async def scenario(link: WorkerConnection, worker: BlockingChannel) -> None:
        asked = link.ask("anything")
        worker.send(failed)
        with pytest.raises(expected, match=failed.message):
            await asked

    linked(scenario)


def test_a_worker_that_ends_is_noticed_by_all_who_wait_and_all_who_come() -> None:
    async def scenario(link: WorkerConnection, worker: BlockingChannel) -> None:
        asked = [link.ask(number) for number in range(2)]
        assert not link.gone
        worker.close()
        for each in (*asked, link.ask("another")):
            with pytest.raises(ExecutorGoneError):
                await each
        assert link.gone
        with pytest.raises(ExecutorGoneError):
            await link.ask("one more")

    linked(scenario)
