"""Many texts through a cascade at once, as columns: each stage is asked about those that remain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from ..cascade.decisions import Limit
from ..cascade.policy import Cascade, Stage
from ..cascade.score import Score
from ..checkpoint.manifest import Manifest
from ..runners.base import ForwardBatch, ModelRunner
from ..runners.scheduled import not_finite

RUN_TEXTS, RUN_TOKENS = 32, 4096
"""The most that a processor is asked at once: what so few texts take stays in its cache, and of 256
each costs up to 1.6 times as much."""
DEVICE_TEXTS, DEVICE_TOKENS = 1024, 16384
"""The same of a GPU, which has to be kept busy."""
UNASKED = -1
"""The stage of a text that nobody was asked about."""
LIMITS = (None, Limit.MAX_COST, Limit.MIN_CONFIDENCE)
"""By their number in a column."""


@dataclass(frozen=True)
class TextLimits:
    """What every answer may cost, relative to the TA, and how sure it must be: as in a request."""

    min_confidence: float = 0.0
    max_cost: float = inf


@dataclass(frozen=True)
class AnswerColumns:
    """What stands of each text, all (texts,).

    stages: int64, the place in the cascade of the student whose answer stands; UNASKED where the
    first one costs more than it may. labels: int64. confidences: float32. abstained: whether the
    label is none, since the text is out of scope. limits: int64, which of LIMITS. flops: float64,
    of all stages. relative_costs: float64. failed: whether what its student said is no number.
    """

    stages: NDArray[np.int64]
    labels: NDArray[np.int64]
    confidences: NDArray[np.float32]
    abstained: NDArray[np.bool_]
    limits: NDArray[np.int64]
    flops: NDArray[np.float64]
    relative_costs: NDArray[np.float64]
    failed: NDArray[np.bool_]


def answer(
    runner: ModelRunner,
    cascade: Cascade,
    sequences: Sequence[list[int]],
    limits: TextLimits = TextLimits(),  # frozen
) -> AnswerColumns:
    """One row per sequence of token ids, in order, by a cascade of the runner's manifest.

    The rules are those of `Decision`. Raises ValueError for a sequence without tokens.
    """
    texts, manifest = len(sequences), runner.manifest
    lengths = np.array([len(ids) for ids in sequences], np.int64)
    ta_flops = _flops(lengths, manifest)
    found = AnswerColumns(
        np.full(texts, UNASKED), np.zeros(texts, np.int64), np.zeros(texts, np.float32),
        np.zeros(texts, np.bool_), np.zeros(texts, np.int64), np.zeros(texts), np.zeros(texts),
        np.zeros(texts, np.bool_),
    )  # fmt: skip
    inside = np.ones(texts, np.bool_)
    waiting = np.argsort(lengths, kind="stable")
    for place, stage in enumerate(cascade.stages):
        costs = found.flops[waiting] + _flops(lengths[waiting], manifest, stage)
        fits = costs / ta_flops[waiting] <= limits.max_cost
        if place:
            found.limits[waiting[~fits]] = LIMITS.index(Limit.MAX_COST)
        waiting = waiting[fits]
        found.flops[waiting] = costs[fits]
        asked = _raised(stage, limits.min_confidence)
        escalated = []
        for run in _runs(waiting, lengths, runner.device):
            batch = ForwardBatch.of([sequences[row] for row in run.tolist()], asked)
            output = runner.forward(batch)
            found.stages[run], found.labels[run] = place, output.labels
            found.confidences[run], inside[run] = output.confidences, output.inside
            failed = np.zeros(len(run), np.bool_)
            failed[not_finite(output)] = True
            found.failed[run] = failed
            # A threshold of 0 takes every answer in its scope, however sure.
            sure = np.asarray(output.confidences, np.float64) >= limits.min_confidence
            accepted = np.asarray(output.accepts, np.bool_)
            if stage.threshold > 0:
                accepted = accepted & sure
            found.limits[run[accepted & ~sure]] = LIMITS.index(Limit.MIN_CONFIDENCE)
            escalated.append(run[~accepted & ~failed])
        waiting = np.concatenate(escalated) if escalated else waiting
    if cascade.abstains:
        found.abstained[:] = ~inside
    found.relative_costs[:] = found.flops / ta_flops
    return found


def _raised(stage: Stage, least: float) -> Stage:
    """With the threshold that a least confidence makes of its own."""
    if stage.threshold > 0 and stage.score is Score.PROBABILITY:
        return replace(stage, threshold=max(stage.threshold, least))
    return stage


def _flops(
    lengths: NDArray[np.int64], manifest: Manifest, stage: Stage | None = None
) -> NDArray[np.float64]:
    """Of a stage's student, else of the TA, at each length."""
    by_length = (stage.student if stage else manifest.ta).flops_by_length
    different, places = np.unique(lengths, return_inverse=True)
    return np.array([by_length[each] for each in different.tolist()], np.float64)[places]


def _runs(
    rows: NDArray[np.int64], lengths: NDArray[np.int64], device: str
) -> Iterator[NDArray[np.int64]]:
    """Neighbours of rows that are in the order of their lengths."""
    texts, tokens = (RUN_TEXTS, RUN_TOKENS) if device == "cpu" else (DEVICE_TEXTS, DEVICE_TOKENS)
    first = 0
    while first < len(rows):
        run = rows[first : first + texts]
        within = int(np.searchsorted(np.cumsum(lengths[run]), tokens, side="right"))
        run = run[: max(1, within)]
        yield run
        first += len(run)
