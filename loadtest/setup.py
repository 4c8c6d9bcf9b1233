"""What all kinds of test share: the server, the texts, the protocols, the connections."""

from __future__ import annotations

from dataclasses import dataclass, field

from .client.faults import Fault
from .client.protocols import Protocol
from .client.target import Target
from .errors import LoadtestError, check_above, check_at_least
from .texts import Texts

MAX_BATCH = 10_000


@dataclass(frozen=True)
class Setup:
    """The options of a load test.

    protocols: by name. shares: of the protocols, by name; batches (texts of a request) and faults
    have shares too. objective_ms: the time that an answer may take. connections: the most, of all
    processes together. timeout: seconds after which a request is given up. slow_seconds: how long a
    slow client takes to send. max_lag_ms: a run is refused if p99 of the client's own lateness is
    above. reference: the model that answers are compared with, None for no comparison.
    price_per_hour: of the server's machine, 0 if unknown. Raises LoadtestError that names field and
    limit.
    """

    target: Target
    texts: Texts
    protocols: dict[str, Protocol]
    shares: dict[str, float]
    batches: dict[str, float] = field(default_factory=lambda: {"1": 1.0})
    faults: dict[str, float] = field(default_factory=dict)
    objective_ms: float = 100.0
    connections: int = 512
    processes: int = 2
    timeout: float = 30.0
    slow_seconds: float = 2.0
    max_lag_ms: float = 10.0
    reference: str | None = None
    price_per_hour: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("objective_ms", "timeout", "slow_seconds", "max_lag_ms"):
            check_above(_flag(name), getattr(self, name), 0)
        for name in ("connections", "processes"):
            check_at_least(_flag(name), getattr(self, name), 1)
        check_at_least("seed", self.seed, 0)
        check_at_least("price-per-hour", self.price_per_hour, 0)
        for size in self.batches:
            if not size.isdecimal() or not 1 <= int(size) <= MAX_BATCH:
                raise LoadtestError(f"batch: {size!r} is no number of texts from 1 to {MAX_BATCH}")
        _known("faults", self.faults, [fault.value for fault in Fault])
        _known("protocol", self.shares, list(self.protocols))

    @property
    def used(self) -> tuple[Protocol, ...]:
        """The protocols that have a share, in their order."""
        found = [self.protocols[name] for name in self.shares]
        return tuple([each.of_sets() for each in found] if self.texts.several else found)


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _known(field: str, names: dict[str, float], known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise LoadtestError(f"{field}: {name!r} is none of {', '.join(known)}")
