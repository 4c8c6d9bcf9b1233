"""Texts whose answers by every student are known, as the population that calibrations draw from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nestling.cli.columns import PAIR, TEXT, columns_for
from nestling.cli.costs import TIME, time_model
from nestling.models.calibration.choice import SCORES
from nestling.models.calibration.cost import TimeModel, flops_of, seconds_of
from nestling.models.calibration.evidence import Evidence, outcome
from nestling.models.calibration.gather import gather
from nestling.models.cascade.policy import Cascade, Student
from nestling.models.cascade.score import Score
from nestling.models.checkpoint.held_out import read_held_out
from nestling.models.evaluation.logits import StudentLogits
from nestling.models.evaluation.predictions import Predictions, predict_all
from nestling.models.heads.truth import answers_in
from nestling.models.inputs.data import read_labelled
from nestling.models.inputs.text import Text
from nestling.models.precision import PRECISIONS, Precision, evidence_in, margin_of
from nestling.server.build import kept_answers, load_for

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Chosen:
    """What a calibration chose: its true risk, and its cost as a share of the TA's. seconds: None
    without a profile. how: by which score and stages.
    """

    risk: float
    flops: float
    seconds: float | None
    how: str = ""


@dataclass(frozen=True)
class Population:
    """students: the TA last. evidence: by score; its costs are FLOPs. seconds: (students, texts) by
    the profile, None without one. time: that they are of. ahead: (students, texts), 1 where that
    student alone is right, −1 where the TA alone is. labels: (students, texts), their answers.
    classes: the true ones, by name. default: the checkpoint's own cascade, None without one. known:
    evidence of the texts held out of its training, None where it keeps none; its costs are what is
    minimised.
    """

    students: tuple[Student, ...]
    predictions: Predictions
    evidence: Mapping[Score, Evidence]
    seconds: Floats | None
    time: TimeModel | None
    ahead: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    default: Cascade | None
    known: Mapping[Score, Evidence] | None
    precision: Precision
    weights_sha256: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(student.name for student in self.students)

    @property
    def texts(self) -> int:
        return int(self.ahead.shape[1])

    @property
    def flops(self) -> Floats:
        """(students, texts)"""
        return self.evidence[SCORES[0]].cost

    def of(self, score: Score, rows: tuple[int, ...], thresholds: Floats) -> Chosen:
        """What is true of a cascade."""
        stages = self.evidence[score].stages(rows)
        true = outcome(stages, thresholds[None])
        seconds = None
        if self.seconds is not None:
            timed = outcome(replace(stages, cost=self.seconds[list(rows)]), thresholds[None])
            seconds = float(timed.cost[0] / self.seconds[-1].mean())
        how = f"{score}: {' → '.join(self.names[row] for row in rows)}"
        risk, flops = float(true.losses[0]) / self.texts, float(true.cost[0])
        return Chosen(risk, flops / float(self.flops[-1].mean()), seconds, how)

    def alone(self) -> Chosen:
        """The TA, where no cascade keeps the promise."""
        return Chosen(0.0, 1.0, None if self.seconds is None else 1.0, "none")

    def by_group(self, found: Evidence, rows: tuple[int, ...], thresholds: Floats) -> list[float]:
        """The true risk of each group. found: the evidence that has them."""
        stages = found.stages(rows)
        return [
            float(outcome(stages.select(own), thresholds[None]).losses[0]) / len(own)
            for own in stages.promised_apart
        ]

    def drawn(self, texts: int, redraws: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """A number for each redraw, and its texts, drawn with replacement."""
        for redraw in range(redraws):
            yield redraw, np.random.default_rng([redraw, 0]).integers(0, self.texts, texts)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What a population and its redraws are made from."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--profile", type=Path, help="hardware profile: time is counted too")
    parser.add_argument("--cost", choices=("flops", TIME), default="flops", help="is minimised")
    parser.add_argument("--alpha", type=float, default=0.005)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--examples", type=int, default=3000)
    parser.add_argument("--redraws", type=int, default=1000)


def population(given: argparse.Namespace, agreement: bool = False, net: bool = False) -> Population:
    """All texts of all files, asked of all students.

    agreement: a loss is what differs from the TA that serves, and the checkpoint's default cascade
    has the temperatures; by default a loss is what is wrong where the TA in float32 is right. net:
    whether what is right where the TA is wrong is a loss of −1.
    """
    precision: Precision = given.precision
    checkpoint, runner = load_for(given.checkpoint, precision, dtype=evidence_in(precision))
    time = None
    if given.profile is not None:
        time = time_model(TIME, given.profile, checkpoint, precision)
    columns = columns_for(checkpoint, TEXT, PAIR)
    texts: list[Text] = []
    classes: list[str] = []
    labels: list[int] = []
    for file in given.data:
        labelled = read_labelled(file, columns)
        texts += labelled.texts
        classes += labelled.labels
        labels += answers_in(labelled, checkpoint.architecture.head(), file)
    predictions = predict_all(checkpoint, tuple(texts), given.data[0], runner)
    students = predictions.students
    answers = torch.stack([predictions.labels(student.name) for student in students])
    truth = torch.tensor(labels)
    reference = answers[-1] if agreement else truth
    kept = None if agreement else kept_answers(checkpoint, precision, tuple(texts), given.data[0])
    temperatures = {student.name: student.temperature for student in students}
    default = checkpoint.cascades.get(checkpoint.default)
    if agreement and default:  # calibrated anew at the temperatures that it has
        temperatures |= {s.student.name: s.student.temperature for s in default.stages}
    tokens = list(map(len, predictions.sequences))
    flops, margin = flops_of(students, tokens), margin_of(precision)
    evidence = {
        score: gather(predictions, reference, temperatures, score, flops, margin, kept, net=net)
        for score in Score
    }
    known = None
    if (held_out := read_held_out(checkpoint)) and not agreement:
        others = StudentLogits(held_out.task, students, held_out.logits)
        lengths = held_out.tokens.tolist()
        minimised = time if given.cost == TIME else None
        cost = (
            seconds_of(minimised, students, lengths) if minimised else flops_of(students, lengths)
        )
        known = {
            score: gather(others, held_out.labels, temperatures, score, cost, margin, net=net)
            for score in Score
        }
    right = (answers == truth).numpy().astype(np.int64)
    return Population(
        students=students,
        predictions=predictions,
        evidence=evidence,
        seconds=None if time is None else seconds_of(time, students, tokens),
        time=time,
        ahead=right - right[-1],
        labels=answers.numpy(),
        classes=tuple(classes),
        default=default,
        known=known,
        precision=precision,
        weights_sha256=checkpoint.weights_sha256,
    )
