"""Seconds per text of several policies on this machine, measured side by side.

Every repeat runs every policy once, so that what disturbs the machine disturbs all alike. A
cascade runs the way a busy server does: what a stage passes on is collected into full batches
for the next. Only the device's work is timed (forward and gate), not the tokenizer.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...kernels import operations_for
from ..cascade.policy import Cascade
from ..checkpoint.load import Checkpoint
from ..nested.batch import PackedBatch, Run
from ..progress import SILENT, Progress

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


@dataclass(frozen=True)
class _Piece:
    """One batch for one stage."""

    batch: PackedBatch
    temperature: Tensor
    threshold: Tensor


def measure(
    checkpoint: Checkpoint,
    policies: Sequence[Cascade],
    sequences: Sequence[Sequence[int]],
    repeats: int = 9,
    run: Run | None = None,
    progress: Progress = SILENT,
) -> dict[str, Seconds]:
    """Seconds per text of each policy, by its name, in batches of `BATCH` texts.

    sequences: token ids in the order of traffic. run: the backend; by default the checkpoint's
    model. The first repeat warms up and is not counted.
    """
    run = run or checkpoint.model
    device = checkpoint.model.tokens.device
    runs = itertools.count()
    total = (2 + repeats) * len(policies)

    def tell() -> None:
        progress.step(f"timing {len(policies)} policies", next(runs), total)

    plans = {}
    for policy in policies:
        tell()
        plans[policy.name] = _plan(run, device, policy, sequences)
    taken: dict[str, list[float]] = {name: [] for name in plans}
    for repeat in range(repeats + 1):
        for name, plan in plans.items():
            tell()
            seconds = _timed(run, plan)
            if repeat:
                taken[name].append(seconds / len(sequences))
    return {name: Seconds.of(values) for name, values in taken.items()}


def per_text(seconds: Mapping[str, Seconds]) -> dict[str, float]:
    """The medians alone."""
    return {name: value.median for name, value in seconds.items()}


@torch.inference_mode()
def _plan(
    run: Run, device: torch.device, policy: Cascade, sequences: Sequence[Sequence[int]]
) -> list[_Piece]:
    """The batches that the policy runs, found by running it once."""
    pieces = []
    waiting = list(sequences)
    for stage in policy.stages:
        passed_on: list[Sequence[int]] = []
        for start in range(0, len(waiting), BATCH):
            chunk = waiting[start : start + BATCH]
            piece = _Piece(
                PackedBatch.of(chunk, stage.student.spec),
                torch.full((len(chunk),), stage.student.temperature, device=device),
                torch.full((len(chunk),), stage.threshold, device=device),
            )
            pieces.append(piece)
            accepted = _ask(run, piece)
            passed_on += [s for s, done in zip(chunk, accepted, strict=True) if not done]
        waiting = passed_on
    return pieces


def _ask(run: Run, piece: _Piece) -> list[bool]:
    gate = operations_for(piece.threshold.device).gate
    verdict = gate(run(piece.batch), piece.temperature, piece.threshold)
    accepted: list[bool] = verdict.accept.tolist()  # waits for the device
    return accepted


@torch.inference_mode()
def _timed(run: Run, plan: Sequence[_Piece]) -> float:
    started = time.perf_counter()
    for piece in plan:
        _ask(run, piece)
    return time.perf_counter() - started
