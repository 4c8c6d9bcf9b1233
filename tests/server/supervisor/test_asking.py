"""Questions to all processes, one of which answers late."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from nestling.server.engine.worker.messages import Open
from nestling.server.settings import Settings
from nestling.server.supervisor.board import Board
from nestling.server.supervisor.forking import Forker
from nestling.server.supervisor.front_process import FrontProcess
from nestling.server.supervisor.fronts import Fronts
from nestling.server.supervisor.messages import Begin, Snapshot


class Stub:
    """A front that answers, or never does."""

    ready = True

    def __init__(self, answer: str | None) -> None:
        self.link = SimpleNamespace(ask=lambda _: self._asked())
        self._answer = answer

    def _asked(self) -> asyncio.Future[Any]:
        asked: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._answer:
            asked.set_result(self._answer)
        return asked


def test_one_that_is_late_keeps_nobody_elses_answer_back() -> None:
    settings = Settings()
    begin = Begin(Open(Path("a"), settings), b"", settings)
    fronts = Fronts(2, cast(Forker, None), Board(2), begin)
    late, early = cast(list[FrontProcess], [Stub(None), Stub("here")])
    answers = asyncio.run(fronts.ask(Snapshot(), [late, early], seconds=0.01))
    assert answers[early] == "here"
    assert isinstance(answers[late], TimeoutError)
