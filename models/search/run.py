"""A search from beginning to end: divide the texts, ask students, plan a cascade, measure."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import count

import numpy as np
import torch
from torch import Tensor

from ..checkpoint.load import Checkpoint
from ..evaluation.predictions import encode_all
from ..inputs.data.fingerprints import fingerprint
from ..inputs.text import Text
from ..latency.model import LatencyModel
from ..nested.batch import PackedBatch
from ..progress import SILENT, Progress
from ..runners.torch import TorchRunner
from .costs import StudentCosts
from .division import check_enough, divide
from .evolution import Evolution
from .finals import Finals
from .found import SearchResult
from .fronts import spread
from .limits import SearchLimits
from .space import SearchSpace
from .trials import Trials

ASKING_TA = 0.1
"""Of the time: asking the TA once takes at most so much, which decides how many texts there are."""
MEASURING = 0.3
"""Of the time, which is kept for measuring what was found."""
TRIED = 32
"""Texts by which the speed of the TA is told."""
MOST_MEASURED = 16
"""New students that may become stages, and whose place is measured."""


@dataclass(frozen=True)
class SearchOptions:
    """max_drop, max_cost, latency: as `SearchLimits` has them. seconds: that it may take. most:
    students that are added.
    """

    max_drop: float = 0.01
    max_cost: float | None = None
    latency: float | None = None
    seconds: float = 600.0
    most: int = 4
    seed: int = 0


def search(
    checkpoint: Checkpoint,
    texts: Sequence[Text],
    truth: Tensor,
    source: str,
    sha256: str,
    options: SearchOptions,
    model: LatencyModel | None = None,
    progress: Progress = SILENT,
) -> SearchResult:
    """Look for students, and a cascade of them, that are cheaper than those of the checkpoint.

    truth: (texts,) int64, the true classes. source, sha256: of the file of texts; by its hash they
    are divided into those that are looked at and those that measure. model: of the machine, whose
    seconds count; None counts FLOPs. Raises DataError for too few different texts, or one that is
    too long, and NestlingError where no student could keep the limits.
    """
    began = time.monotonic()
    check_enough(map(fingerprint, texts))
    sequences = encode_all(checkpoint, texts, source)
    most = int(ASKING_TA * options.seconds / _seconds_of_ta(checkpoint, sequences))
    parts = divide(texts, most, sha256)
    lengths = [len(sequences[row]) for row in parts.rows]
    costs = StudentCosts(checkpoint.architecture, lengths, model)
    limits = SearchLimits(costs, options.max_drop, options.max_cost, options.latency)
    known = {student.spec: name for name, student in checkpoint.students.items()}
    space = SearchSpace.of(checkpoint.architecture, known)
    limits.check(space.smallest)
    progress.step("asking the TA")
    looking = [sequences[row] for row in parts.looking]
    trials = Trials(checkpoint, looking, truth[parts.looking], parts.first, limits.tolerated)
    rng = np.random.default_rng(options.seed)
    evolution = Evolution(space, trials, costs.share, limits.allow, rng)
    evolution.begin(list(known), progress)
    left = (1 - MEASURING) * options.seconds - (time.monotonic() - began)
    ended = evolution.run(left, progress)

    names = dict(known)
    fresh = [each for each in evolution.best if each.spec not in known]
    for trial in spread(fresh, MOST_MEASURED):
        names[trial.spec] = _name(costs.flops_share(trial.spec), names.values())
    finals = Finals(checkpoint, names, costs, parts, limits)
    finals.ask([texts[row] for row in parts.rows], truth[parts.rows], progress)
    added, before, after = finals.choose(options.most)
    students = tuple(finals.told(row, row in added) for row in range(len(finals.students)))
    looked_at, measured_on = len(parts.looking), len(parts.measuring)
    answers = finals.answers(
        {student.name for student in students if student.known or student.added}
    )
    return SearchResult(
        students, before, after, trials.asked, looked_at, measured_on, ended, answers
    )


@torch.inference_mode()
def _seconds_of_ta(checkpoint: Checkpoint, sequences: Sequence[Sequence[int]]) -> float:
    """For a text, about."""
    runner, few = TorchRunner(checkpoint), sequences[:TRIED]
    batch = PackedBatch.of(few, checkpoint.ta.spec)
    runner.logits(batch)
    began = time.perf_counter()
    runner.logits(replace(batch))
    return (time.perf_counter() - began) / len(few)


def _name(share: float, taken: Collection[str]) -> str:
    """By its share of the TA's FLOPs: `mix-1.4` has 1.4 %. Without an exponent, since a name has no
    plus sign.
    """
    name = f"mix-{Decimal(f'{100 * share:.2g}'):f}"
    return next(
        each
        for number in count(1)
        if (each := name if number == 1 else f"{name}-{number}") not in taken
    )
