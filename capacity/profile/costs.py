"""How long things take, according to a profile.

A process that has just worked is faster than one that has slept: after a pause the caches hold
something else, and the processor may sleep too. So each process pays for having been idle, `cold`,
the more the longer its pause was: cold · (1 − exp(−pause / cooling)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class StudentCost:
    """Seconds of one student's part of a batch: fixed + text · texts + token · tokens.

    tokens: with the padding to the longest where the runner pads. cold: is added if this student
    has not run for a while, even if others have.
    """

    fixed: float
    text: float
    token: float
    cold: float


@dataclass(frozen=True)
class WorkerCosts:
    """Seconds of a batch in the worker, from the message to its answer.

    padded: whether the runner pads a student's part to its longest text. grouped: whether one
    launch serves all students of a batch, so that of their fixed seconds the longest count, not the
    sum.
    """

    students: Mapping[str, StudentCost]
    padded: bool
    grouped: bool = False

    def seconds(self, name: str, lengths: Sequence[int]) -> tuple[float, float]:
        """Of one student's part, with texts of these lengths: the fixed ones, and the others."""
        cost = self.students[name]
        return cost.fixed, cost.text * len(lengths) + cost.token * self.tokens(lengths)

    def tokens(self, lengths: Sequence[int]) -> int:
        """That the runner computes."""
        return max(lengths) * len(lengths) if self.padded else sum(lengths)


@dataclass(frozen=True)
class LoopCosts:
    """CPU seconds of the event loop: for a request and each of its texts, from the first byte to
    the last; `tick`, each time that the service looks at its load. waking: each time that it has
    slept at all. cold: of what it does next.
    """

    request: float
    text: float
    waking: float
    cold: float
    tick: float

    def half(self, texts: int) -> float:
        """What a request costs until its texts are queued, and the same again from their answers
        on: only the sum of the two is measured.
        """
        return (self.request + self.text * texts) / 2


@dataclass(frozen=True)
class EngineCosts:
    """CPU seconds of the event loop for the engine: for a batch and each of its texts."""

    batch: float
    text: float

    def half(self, texts: int) -> float:
        """Before a batch goes to the worker, and again after it."""
        return (self.batch + self.text * texts) / 2


@dataclass(frozen=True)
class ClientCosts:
    """CPU seconds of a load test's client, for a request and its answer."""

    request: float
    cold: float


@dataclass(frozen=True)
class Speeds:
    """How fast a core was, one moment after the other, compared with its usual speed: others use
    the machine too. seconds: that each of these moments lasted. speed: 1 is the usual one.
    """

    seconds: tuple[float, ...] = (1.0,)
    speed: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Costs:
    """cooling: seconds. wake: seconds until a process that slept runs. speeds: of each core, which
    begins at a moment of its own among them.
    """

    loop: LoopCosts
    engine: EngineCosts
    worker: WorkerCosts
    client: ClientCosts
    cooling: float
    wake: float
    speeds: Speeds

    def shared(self, replicas: int) -> Costs:
        """The same where so many replicas share the device: each has that part of its speed."""
        students = {
            name: replace(
                cost,
                fixed=replicas * cost.fixed,
                text=replicas * cost.text,
                token=replicas * cost.token,
            )
            for name, cost in self.worker.students.items()
        }
        return replace(self, worker=replace(self.worker, students=students))
