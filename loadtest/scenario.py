"""MLPerf's scenarios, and how one is run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .errors import check_above, check_at_least


class Scenario(StrEnum):
    """single-stream: the next text once the last is answered. offline: all at once. server:
    Poisson arrivals."""

    SINGLE_STREAM = "single-stream"
    OFFLINE = "offline"
    SERVER = "server"


@dataclass(frozen=True)
class Rules:
    """seconds, queries: the least length of a run. rate: texts per second, wanted of `server`,
    expected of `offline`.

    Raises LoadtestError that names field and limit.
    """

    scenario: Scenario
    seconds: float = 60.0
    queries: int = 100
    rate: float = 100.0

    def __post_init__(self) -> None:
        check_above("seconds", self.seconds, 0)
        check_above("rate", self.rate, 0)
        check_at_least("queries", self.queries, 1)
