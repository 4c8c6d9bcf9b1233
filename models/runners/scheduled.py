"""One step of many cascades: which students a batch asks next, and what follows from the answers.

Numbers and names only: the answers may be computed by another process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from ..cascade.columns import Decisions
from ..cascade.parts import StagePart
from ..cascade.policy import Cascade
from ..cascade.steps import StepColumns
from ..checkpoint.manifest import Manifest
from .base import ForwardBatch, ForwardOutput

P = TypeVar("P", bound=StagePart)


def decide(manifest: Manifest, cascade: Cascade, sequences: list[list[int]]) -> Decisions:
    """Texts, as token ids, of which no student has been asked yet."""
    return Decisions(cascade, sequences, manifest.ta.flops_by_length)


@dataclass(frozen=True)
class ScheduledBatch(Generic[P]):
    """Parts of requests, in the order in which their students are asked; and those, by name."""

    parts: list[P]
    forward: ForwardBatch
    students: list[str]

    @classmethod
    def of(cls, parts: Sequence[P]) -> ScheduledBatch[P]:
        """What each asks next, which may be different stages of different cascades."""
        groups: dict[str, list[P]] = {}
        for part in parts:
            groups.setdefault(part.asks.student.name, []).append(part)
        ordered = [part for _, group in sorted(groups.items()) for part in group]
        runs = [(name, sum([len(p.rows) for p in groups[name]])) for name in sorted(groups)]
        sequences, rules = [], []
        for part in ordered:
            tokens, stage = part.decisions.tokens, part.asks
            rule = stage.student.temperature, part.threshold, stage.score.code, stage.scope
            sequences += [tokens[row] for row in part.rows]
            rules += [rule] * len(part.rows)
        return cls(ordered, ForwardBatch.ruled(sequences, runs, rules), sorted(groups))

    def halves(self) -> tuple[list[P], list[P]]:
        """All its texts in two lists of parts, about as many in each; one may be cut for it."""
        first: list[P] = []
        second: list[P] = []
        room = len(self.forward.lengths) // 2
        for part in self.parts:
            if room > 0:
                first.append(part.only(part.rows[:room]))
            if room < len(part.rows):
                second.append(part.only(part.rows[max(0, room) :]))
            room -= len(part.rows)
        return first, second

    def failures(self, output: ForwardOutput) -> list[P]:
        """For each text of which a student said what is no number, the part that it is in."""
        if not (failed := not_finite(output)):
            return []
        ends = np.cumsum([len(part.rows) for part in self.parts])
        return [self.parts[np.searchsorted(ends, at, "right")] for at in failed]

    def record(self, output: ForwardOutput) -> list[Said[P]]:
        """Note what was said of each part, in their order.

        The time that the batch took is shared among its texts by FLOPs.
        """
        labels, accepts, inside = (
            output.labels.tolist(), output.accepts.tolist(), output.inside.tolist()
        )  # fmt: skip
        confidences, scores = output.confidences.tolist(), output.scores.tolist()
        energies = output.energies.tolist()
        flops = [
            [part.asks.student.flops_by_length[length] for length in part.lengths]
            for part in self.parts
        ]
        seconds_per_flop = output.seconds / sum(map(sum, flops))
        found, first = [], 0
        for part, cost in zip(self.parts, flops, strict=True):
            here = slice(first, first + len(cost))
            step = StepColumns(
                part.asks,
                part.threshold,
                part.rows,
                labels[here],
                confidences[here],
                scores[here],
                accepts[here],
                energies[here],
                inside[here],
                output.logits[here],
                cost,
                seconds_per_flop,
            )
            found.append(Said(part, step, part.decisions.record(part.stage, step)))
            first = here.stop
        return found


class Said(NamedTuple, Generic[P]):
    """What was said of a part. left: its rows that the next stage is to answer."""

    part: P
    step: StepColumns
    left: Sequence[int]


def not_finite(output: ForwardOutput) -> list[int]:
    """The sequences whose logits or confidence are not finite: no answer at all."""
    if np.isfinite(output.logits).all() and np.isfinite(output.confidences).all():
        return []
    finite = np.isfinite(output.logits).all(axis=-1) & np.isfinite(output.confidences)
    found: list[int] = np.flatnonzero(~finite).tolist()
    return found


def step(forward: Callable[[ForwardBatch], ForwardOutput], parts: Sequence[P]) -> list[P]:
    """Ask what each part asks next, all in one batch; return what is not answered yet."""
    batch = ScheduledBatch.of(parts)
    said = batch.record(forward(batch.forward))
    return [part.passed_on(left, step, 0.0) for part, step, left in said if left]
