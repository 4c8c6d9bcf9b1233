"""Timing a few students on this machine: those of the checkpoint, and some that others are like."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..cascade.policy import Stage, Student
from ..checkpoint.manifest import Manifest
from ..device import CPU
from ..nested.architecture import Architecture
from ..nested.spec import StudentSpec
from ..progress import SILENT, Progress
from ..runners.base import ForwardBatch, ModelRunner
from .model import FULL_BATCH, TimedBatch

DRAWN = 10
"""Students beside those of the checkpoint."""
STEPS = 8
"""Into which full widths are divided."""
LENGTHS = (0.25, 0.95)
"""Quantiles of the texts' lengths that are timed: both in a full batch, the longer one alone, too.
Of a short text alone the kernels of a few rows decide, which no sum of work explains.
"""
REPEATS = 9
"""Of each batch, all in turn, so that a disturbed moment spoils one of many."""
LEAST_SECONDS = 0.002
"""Of one repeat: a shorter batch runs several times in it."""


def drawn(a: Architecture, students: int = DRAWN, seed: int = 0) -> list[StudentSpec]:
    """Students of every depth, with widths drawn by lot: each kind of work varies on its own."""
    rng = np.random.default_rng(seed)

    def widths(full: int, count: int) -> tuple[int, ...]:
        steps = rng.integers(1, STEPS + 1, size=count)
        return tuple(max(1, int(full * step) // STEPS) for step in steps)

    found = []
    for number in range(students):
        depth = 1 + number % a.layers
        layers = tuple(sorted(rng.choice(a.layers, depth, replace=False).tolist()))
        (dim,) = widths(a.dim, 1) if number % 2 else (a.dim,)
        found.append(
            StudentSpec(layers, dim, widths(a.attention_heads, depth), widths(a.ffn, depth))
        )
    return found


def with_drawn(manifest: Manifest, drawn: Sequence[StudentSpec]) -> Manifest:
    """The same checkpoint as if it had these students, too."""
    known = {student.spec for student in manifest.students.values()}
    added = {
        f"timed-{number}": Student.of(f"timed-{number}", spec, manifest.architecture)
        for number, spec in enumerate(drawn)
        if spec not in known
    }
    return replace(manifest, students={**added, **manifest.students})


def time_students(
    runner: ModelRunner, lengths: Sequence[int], threads: int, progress: Progress = SILENT
) -> list[TimedBatch]:
    """What each student of the runner's takes for batches of several sizes.

    lengths: tokens of the texts of the traffic. What a batch holds makes no difference, so it is of
    the same token throughout. The fastest repeat counts: whatever disturbs one makes it longer.
    threads: of the runner. Of a single one on a CPU the CPU time is taken, as for all else that is
    measured of a server: it does not grow while others have the core.
    """
    clock = time.thread_time if runner.device == CPU and threads == 1 else time.perf_counter
    tokens = sorted({int(np.quantile(lengths, q, method="higher")) for q in LENGTHS})
    sizes = [(1, tokens[-1]), *((FULL_BATCH, length) for length in tokens)]
    cells = [(student, *size) for student in runner.manifest.students.values() for size in sizes]
    batches = [_Repeated(runner, clock, *cell) for cell in cells]
    taken: list[list[float]] = [[] for _ in cells]
    for repeat in range(REPEATS):
        for row, batch in enumerate(batches):
            progress.step("timing students", repeat * len(cells) + row, REPEATS * len(cells))
            taken[row].append(batch.seconds())
    return [
        TimedBatch(student.spec, texts, length, min(seconds))
        for (student, texts, length), seconds in zip(cells, taken, strict=True)
    ]


class _Repeated:
    """A batch that runs as often as it takes to be timed."""

    def __init__(
        self,
        runner: ModelRunner,
        clock: Callable[[], float],
        student: Student,
        texts: int,
        tokens: int,
    ) -> None:
        self._runner, self._clock = runner, clock
        self._batch = ForwardBatch.of([[0] * tokens] * texts, Stage(student, 0.0))
        self._times = 1
        self._times = max(1, round(LEAST_SECONDS / self.seconds()))

    def seconds(self) -> float:
        """Of one run, this time; another before it brings the student's weights near."""
        self._runner.forward(self._batch)
        began = self._clock()
        for _ in range(self._times):
            self._runner.forward(self._batch)
        return (self._clock() - began) / self._times
