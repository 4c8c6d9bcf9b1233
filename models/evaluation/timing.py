"""Seconds per text of several policies on this machine, measured side by side.

Every repeat runs every policy once, so that what disturbs the machine disturbs all alike. A
cascade runs the way a busy server does: what a stage passes on is collected into full batches
for the next. Only the device's work is timed (forward and gate), not the tokenizer.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..cascade.policy import Cascade
from ..checkpoint.load import Checkpoint
from ..progress import SILENT, Progress
from ..runners.base import ForwardBatch, ModelRunner
from ..runners.torch import TorchRunner

BATCH = 32


@dataclass(frozen=True)
class Seconds:
    """Per text: median over the repeats, and the quartiles around it."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """What lies between the quartiles, as a share of the median: 0 on a machine at rest."""
        return (self.high - self.low) / self.median

    @classmethod
    def of(cls, repeats: Sequence[float]) -> Seconds:
        """At least two repeats."""
        low, median, high = statistics.quantiles(repeats, n=4, method="inclusive")
        return cls(median, low, high)


def measure(
    checkpoint: Checkpoint,
    policies: Sequence[Cascade],
    sequences: Sequence[Sequence[int]],
    repeats: int = 9,
    runner: ModelRunner | None = None,
    progress: Progress = SILENT,
) -> dict[str, Seconds]:
    """Seconds per text of each policy, by its name, in batches of `BATCH` texts.

    sequences: token ids in the order of traffic. runner: by default torch. The first repeat warms
    up and is not counted.
    """
    runner = runner or TorchRunner(checkpoint)
    runs = itertools.count()
    total = (2 + repeats) * len(policies)

    def tell() -> None:
        progress.step(f"timing {len(policies)} policies", next(runs), total)

    plans = {}
    for policy in policies:
        tell()
        plans[policy.name] = _plan(runner, policy, sequences)
    taken: dict[str, list[float]] = {name: [] for name in plans}
    for repeat in range(repeats + 1):
        for name, plan in plans.items():
            tell()
            seconds = sum(runner.forward(batch).seconds for batch in plan)
            if repeat:
                taken[name].append(seconds / len(sequences))
    return {name: Seconds.of(values) for name, values in taken.items()}


def _plan(
    runner: ModelRunner, policy: Cascade, sequences: Sequence[Sequence[int]]
) -> list[ForwardBatch]:
    """The batches that the policy runs, found by running it once."""
    plan = []
    waiting = [list(ids) for ids in sequences]
    for stage in policy.stages:
        passed_on: list[list[int]] = []
        for start in range(0, len(waiting), BATCH):
            chunk = waiting[start : start + BATCH]
            batch = ForwardBatch.of(chunk, stage)
            plan.append(batch)
            accepts = runner.forward(batch).accepts
            passed_on += [ids for ids, accepted in zip(chunk, accepts, strict=True) if not accepted]
        waiting = passed_on
    return plan
