"""Parts of requests: texts that go through a stage together."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Self

from .columns import Decisions
from .policy import Stage
from .score import Score
from .steps import StepColumns


@dataclass(slots=True, eq=False)
class StagePart:
    """Some texts of one request that ask the same student next, and were together until now.

    rows: which of them, ascending. stage: of their cascade, from 0. since: when they began to wait
    for it, on `time.perf_counter`'s clock. waited, ran: seconds that they have been in the queue,
    and in batches, for the stages before it. asks: that stage. threshold: the score from which its
    answers stand; 0 is always. lengths: tokens of each text.
    """

    decisions: Decisions
    rows: Sequence[int]
    stage: int
    since: float
    waited: float
    ran: float
    asks: Stage = field(init=False)
    threshold: float = field(init=False)
    lengths: Sequence[int] = field(init=False)

    def __post_init__(self) -> None:
        self._take(self.rows, self.stage)

    @classmethod
    def of(cls, decisions: Decisions) -> StagePart:
        """All texts of a request, of which nobody has been asked yet."""
        return StagePart(decisions, range(len(decisions.tokens)), 0, 0.0, 0.0, 0.0)

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, rows: Sequence[int]) -> Self:
        """Some of its texts."""
        part = copy(self)
        part._take(rows, self.stage)
        return part

    def passed_on(self, rows: Sequence[int], step: StepColumns, now: float) -> Self:
        """Those of its texts that wait for the next stage from now on, after this step."""
        part = copy(self)
        part._take(rows, self.stage + 1)
        part.since, part.waited, part.ran = now, self.waited + step.waited, self.ran + step.ran
        return part

    def _take(self, rows: Sequence[int], stage: int) -> None:
        decisions = self.decisions
        asks = decisions.cascade.stages[stage]
        self.rows, self.stage, self.asks = rows, stage, asks
        self.threshold = max(0.0, asks.threshold)
        if asks.threshold > 0 and asks.score is Score.PROBABILITY:
            self.threshold = max(asks.threshold, decisions.min_confidence)
        lengths = decisions.lengths
        self.lengths = lengths if len(rows) == len(lengths) else [lengths[row] for row in rows]
