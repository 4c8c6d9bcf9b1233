"""What every student of a checkpoint says of a file's texts: asked once, and kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.models.calibration.choice import SCORES
from nestling.models.calibration.cost import flops_of
from nestling.models.calibration.evidence import Evidence
from nestling.models.calibration.gather import gather
from nestling.models.cascade.score import Score
from nestling.models.evaluation.predictions import predict_all
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import read_labelled
from nestling.models.precision import Precision, margin_of
from nestling.models.progress import Progress
from nestling.server.build import load_for

PRECISION: Precision = "float32"


@dataclass(frozen=True)
class Asked:
    """students: by name, cheapest first, the TA last. evidence: by each score that a calibration
    may choose; its losses are net, against the TA, its costs FLOPs.
    """

    students: tuple[str, ...]
    evidence: dict[Score, Evidence]

    def joined(self, other: Asked) -> Asked:
        """These texts and those of another file."""
        pairs = {score: each.joined(other.evidence[score]) for score, each in self.evidence.items()}
        return Asked(self.students, pairs)

    @property
    def ta_cost(self) -> float:
        """Of the TA on all texts together."""
        return float(self.evidence[SCORES[0]].cost[-1].sum())

    @property
    def ahead(self) -> NDArray[np.int8]:
        """(students, texts), 1 where that student alone is right, −1 where the TA alone is."""
        return -self.evidence[SCORES[0]].loss.astype(np.int8)


def asked(checkpoint: Path, file: Path, kept: Path, progress: Progress) -> Asked:
    """By the temperatures that the checkpoint has now. kept: an .npz, read where it exists."""
    if not kept.exists():
        _ask(checkpoint, file, kept, progress)
    with np.load(kept) as found:
        common = Evidence(
            found[SCORES[0].value], found["loss"], found["cost"], margin_of(PRECISION)
        )
        evidence = {score: replace(common, score=found[score.value]) for score in SCORES}
        return Asked(tuple(map(str, found["students"])), evidence)


def _ask(checkpoint: Path, file: Path, kept: Path, progress: Progress) -> None:
    loaded, runner = load_for(checkpoint, PRECISION, progress)
    labelled = read_labelled(file)
    truth = torch.tensor(answers_in(labelled, loaded.architecture.head(), file))
    predictions = predict_all(loaded, labelled.texts, file, runner, progress)
    students = predictions.students
    temperatures = {student.name: student.temperature for student in students}
    cost = flops_of(students, list(map(len, predictions.sequences)))
    gathered = [
        gather(predictions, truth, temperatures, score, cost, margin_of(PRECISION), net=True)
        for score in SCORES
    ]
    columns: dict[str, Any] = {
        "students": np.array([student.name for student in students]),
        "loss": gathered[0].loss,
        "cost": cost,
    }
    columns |= {score.value: each.score for score, each in zip(SCORES, gathered, strict=True)}
    partial = kept.with_suffix(".partial.npz")
    np.savez(partial, **columns)
    partial.replace(kept)
