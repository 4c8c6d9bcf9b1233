"""How long a process that has ended waits for the next one in its place."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nestling.server.engine.worker.messages import Open
from nestling.server.settings import Settings
from nestling.server.supervisor.board import Board
from nestling.server.supervisor.forking import Forker
from nestling.server.supervisor.fronts import Fronts
from nestling.server.supervisor.messages import Begin


def test_whoever_soon_ends_again_and_again_waits_longer_and_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings()
    begin = Begin(Open(Path("a"), settings), b"", settings)
    fronts = Fronts(2, cast(Forker, None), Board(2), begin)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def begins(_: object) -> None:
        """And answers."""

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(fronts, "_begin_again", begins)

    def ends(slot: int, lived: float) -> Any:
        return SimpleNamespace(
            slot=slot, since=monotonic() - lived, pid=1, end=lambda: 0, close=lambda: None
        )

    async def all_end() -> None:
        for slot, lived in [(0, 0), (0, 0), (1, 0), (0, 0), (0, 1000), (0, 0), *[(1, 0)] * 8]:
            await fronts._again(ends(slot, lived))

    asyncio.run(all_end())
    assert pauses[:6] == [0.1, 0.2, 0.1, 0.4, 0.0, 0.1]
    assert pauses[-1] == 10.0
