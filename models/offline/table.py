"""The columns of an answer in a file: those of the HTTP answer, flat, and what is wrong with a row.

A column of the input that is called as one of them is kept as `input_…`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..cascade.decisions import OUT_OF_SCOPE
from ..cascade.policy import Cascade
from ..checkpoint.manifest import Manifest
from ..errors import DataError
from ..heads import task_of
from .answers import LIMITS, UNASKED, AnswerColumns

COLUMNS = {
    "score": float,
    "reason": str,
    "model": str,
    "student": str,
    "limited_by": str,
    "tokens": int,
    "flops": int,
    "relative_cost": float,
    "weights": str,
    "error": str,
}
"""Behind what is answered: by name, and what each holds unless it is null."""
FAULTS = 5
"""Rows without an answer that are named at the end; the column `error` has them all."""
Table = dict[str, list[Any]]


@dataclass(frozen=True)
class Tally:
    """What came of some rows. students: how many each one answered. faults: the first rows without
    an answer, from 1, and why. relative_cost: the sum of the others'.
    """

    rows: int = 0
    answered: int = 0
    abstained: int = 0
    relative_cost: float = 0.0
    students: dict[str, int] = field(default_factory=dict)
    faults: tuple[tuple[int, str], ...] = ()

    def plus(self, other: Tally) -> Tally:
        """With the rows that follow."""
        later = ((self.rows + row, fault) for row, fault in other.faults)
        return Tally(
            self.rows + other.rows,
            self.answered + other.answered,
            self.abstained + other.abstained,
            self.relative_cost + other.relative_cost,
            dict(Counter(self.students) + Counter(other.students)),
            (*self.faults, *later)[:FAULTS],
        )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Tally:
        """What `asdict` made of one."""
        return cls(**{**data, "faults": tuple((row, fault) for row, fault in data["faults"])})


def answer_columns(manifest: Manifest) -> dict[str, type]:
    """Those of an answer of this checkpoint: one label is in `label`, a list in `labels`."""
    several = manifest.architecture.head().task == "multi_label"
    return ({"labels": list} if several else {"label": str}) | COLUMNS


def kept_names(names: Iterable[str], answered: Collection[str], source: str) -> dict[str, str]:
    """What the columns of an input are called in the output. answered: the columns of the answer.

    Raises DataError where two of them would be called the same.
    """
    kept = {name: f"input_{name}" if name in answered else name for name in names}
    for name, called in kept.items():
        if name != called and called in kept:
            raise DataError(
                f"{source}: column {name!r} would be kept as {called!r}, which is there as well; "
                "rename one of them"
            )
    return kept


def table(
    manifest: Manifest,
    cascade: Cascade,
    rows: int,
    places: Sequence[int],
    tokens: Sequence[int],
    answers: AnswerColumns,
    faults: dict[int, str],
    max_cost: float,
) -> Table:
    """The columns, one value per row. places: the rows that `answers` is about, and their tokens.

    faults: by row; those are added that no student could answer.
    """
    found: Table = {name: [None] * rows for name in answer_columns(manifest)}
    answer = next(iter(found))
    task = task_of(manifest.architecture.head())
    students = [s.student.name for s in cascade.stages]
    weights = manifest.weights_sha256[:12]
    columns = zip(
        places,
        tokens,
        answers.stages.tolist(),
        answers.labels.tolist(),
        answers.confidences.tolist(),
        answers.abstained.tolist(),
        answers.limits.tolist(),
        answers.flops.tolist(),
        answers.relative_costs.tolist(),
        answers.failed.tolist(),
        strict=True,
    )
    for row, count, stage, label, confidence, abstained, limit, flops, cost, failed in columns:
        if stage == UNASKED:
            first = cascade.stages[0].student.flops_by_length[count]
            faults[row] = (
                f"max_cost: {max_cost:g} of the TA's cost; {students[0]!r}, the first that "
                f"{cascade.name!r} asks, costs "
                f"{first / manifest.ta.flops_by_length[count]:.4g} for it"
            )
            continue
        if failed:
            faults[row] = f"what {students[stage]!r} said is not finite"
            continue
        found[answer][row] = None if abstained else task.shown(label)
        found["score"][row] = round(confidence, 6)
        found["reason"][row] = OUT_OF_SCOPE if abstained else None
        found["model"][row] = cascade.name
        found["student"][row] = students[stage]
        found["limited_by"][row] = LIMITS[limit]
        found["tokens"][row] = count
        found["flops"][row] = round(flops)
        found["relative_cost"][row] = float(f"{cost:.4g}")
        found["weights"][row] = weights
    for row, fault in faults.items():
        found["error"][row] = fault
    return found


def tally(found: Table) -> Tally:
    """What stands in the columns."""
    errors, students = found["error"], Counter(found["student"])
    students.pop(None, None)
    wrong = [(row, error) for row, error in enumerate(errors, 1) if error is not None]
    return Tally(
        len(errors),
        len(errors) - len(wrong),
        sum(reason is not None for reason in found["reason"]),
        sum(cost for cost in found["relative_cost"] if cost is not None),
        dict(students),
        tuple(wrong[:FAULTS]),
    )
