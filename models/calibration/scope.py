"""Scopes: the energy below which a student does not speak, found on texts that have a label.

Of n texts that fix it, the scope lies at the k-th lowest energy, or below. The share of new texts
below that is, in distribution, at most Beta(k, n − k + 1), whatever the energies are: so k is the
largest number at which P(Binomial(n, 1 − kept) < k) ≤ 1 − confidence. The energies must not depend
on these texts, so that temperatures are fitted on others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..cascade.policy import Stage, Student
from ..cascade.scope import OutOfScope, ScopePromise
from ..cascade.score import Score
from ..errors import DataError, NestlingError
from ..evaluation.predictions import Predictions
from .evidence import Floats, accepts, rounded
from .groups import TextGroups
from .learn_then_test import Split
from .path import LEAST
from .risk import fewest_examples, losses_allowed


@dataclass(frozen=True)
class ScopeTarget:
    """kept: the share of texts with a label that each student at least is to let through.

    abstain: whether the TA has a scope too: what it finds outside is answered without a label.
    """

    kept: float
    abstain: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.kept < 1:
            raise NestlingError(f"scope: {self.kept} is not between 0 and 1")


@dataclass(frozen=True)
class Scopes:
    """limits: (students,), the scope of each; 0 is none. inside: (students, texts)."""

    limits: Floats
    inside: NDArray[np.bool_]

    @property
    def unlabelled(self) -> NDArray[np.bool_]:
        """(students, texts), where the answer has no label if that student is the last: out of its
        scope, if the TA has one."""
        outside = ~self.inside
        if not self.limits[-1]:
            outside[:-1] = False
        return outside

    def on(self, stages: Sequence[Stage], rows: Sequence[int]) -> tuple[Stage, ...]:
        """Stages with their scopes. rows: the student of each."""
        pairs = zip(stages, rows, strict=True)
        return tuple(replace(stage, scope=float(self.limits[row])) for stage, row in pairs)


def halves(
    parts: Split, groups: TextGroups | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the texts that order: those that fit temperatures, and those that fix scopes.

    Groups give unlike shares of themselves to the order. A scope is promised of all texts together,
    so that it is fixed by the same share of each, of none more than half of those that order.
    """
    if groups is None:
        return parts.ordering[::2], parts.ordering[1::2]
    own = [rows.tolist() for rows in groups.select(parts.ordering).rows]
    sizes = groups.sizes
    least = min(range(len(own)), key=lambda group: len(own[group]) / sizes[group])
    counts = [len(own[least]) * size // (2 * sizes[least]) for size in sizes]
    pairs = list(zip(own, counts, strict=True))
    fitting = np.concatenate([parts.ordering[rows[count:]] for rows, count in pairs])
    return fitting, np.concatenate([parts.ordering[rows[:count]] for rows, count in pairs])


def check_enough(texts: int, target: ScopeTarget, confidence: float) -> int:
    """The place of the scope among the energies of so many texts, from 1.

    Raises DataError where they are too few.
    """
    place = losses_allowed(texts, 1 - target.kept, confidence) + 1
    if not place:
        least = fewest_examples(0, 1 - target.kept, confidence)
        raise DataError(
            f"scope: {texts:,} texts of those that order the tests are too few to keep "
            f"{target.kept:.1%} with {confidence:.0%} confidence: it takes {least:,}"
        )
    return place


def find_scopes(
    predictions: Predictions,
    students: Sequence[Student],
    rows: NDArray[np.int64],
    target: ScopeTarget,
    confidence: float,
    margin: float,
) -> Scopes:
    """Of each student at its temperature. rows: the texts that fix them.

    margin: what the gate asks above a scope. Raises DataError where the texts are too few.
    """
    place = check_enough(len(rows), target, confidence)
    energies = [energy_of(predictions, student) for student in students]
    limits = [limit_of(each[rows], place, margin) for each in energies]
    if not target.abstain:
        limits[-1] = 0.0
    pairs = zip(energies, limits, strict=True)
    return Scopes(np.array(limits), np.stack([accepts(e, limit, margin) for e, limit in pairs]))


def energy_of(predictions: Predictions, student: Student) -> NDArray[np.float32]:
    """(texts,), as a scope is held against it."""
    return rounded(predictions.scores(student.name, student.temperature, Score.ENERGY).numpy())


def promise(
    target: ScopeTarget,
    confidence: float,
    examples: int,
    inside: NDArray[np.bool_],
    out_of_scope: OutOfScope | None,
) -> ScopePromise:
    """inside: (stages, texts that test)."""
    observed = tuple(round(float(share), 6) for share in inside.mean(axis=1))
    return ScopePromise(target.kept, confidence, examples, observed, out_of_scope)


def count_strangers(
    predictions: Predictions, stages: Sequence[Stage], margin: float, data_sha256: str
) -> OutOfScope:
    """What the stages do with texts that have none of the labels."""
    inside, accepted = [], []
    for stage in stages:
        name, temperature = stage.student.name, stage.student.temperature
        score = rounded(predictions.scores(name, temperature, stage.score).numpy())
        inside.append(accepts(energy_of(predictions, stage.student), stage.scope, margin))
        accepted.append(accepts(score, stage.threshold, margin) & inside[-1])
    early = np.any(accepted[:-1], axis=0)
    return OutOfScope(
        texts=len(predictions.sequences),
        inside=_shares(inside),
        accepted=_shares(accepted),
        reach_last=_shares([~early])[0],
        answered=_shares([early | accepted[-1]])[0],
        data_sha256=data_sha256,
    )


def _shares(flags: Sequence[NDArray[np.bool_]]) -> tuple[float, ...]:
    return tuple(round(float(each.mean()), 6) for each in flags)


def limit_of(energies: NDArray[np.float32], place: int, margin: float) -> float:
    """The scope halfway between the energy at this place and the one below; 0 where that is none.

    energies: of the texts that fix it.
    """
    ascending = np.sort(energies)
    below = float(ascending[place - 2]) if place > 1 else 0.0
    limit = (below + float(ascending[place - 1])) / 2 - margin
    return float(np.float32(limit)) if limit > LEAST else 0.0
