"""Records of served texts, made from a population, and calibrations on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling.models.calibration.cost import TimeModel
from nestling.models.calibration.recalibrate import recalibrate
from nestling.models.calibration.records import AskedStudent, ShadowRecord
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.policy import Cascade
from nestling.models.cascade.score import Score
from nestling.models.errors import NestlingError

from .population import Chosen, Population

TIME = "2026-01-01T00:00:00+00:00"


@dataclass(frozen=True)
class Shadow:
    """cascade: of which the records are; rows: of the population, its students."""

    whole: Population
    cascade: Cascade
    rows: tuple[int, ...]
    records: tuple[ShadowRecord, ...]

    @classmethod
    def of(cls, whole: Population) -> Shadow:
        """Raises ValueError for a checkpoint whose default is no cascade that ends in the TA."""
        cascade = whole.default
        if cascade is None or cascade.stages[-1].student.name != whole.names[-1]:
            raise ValueError("--from-shadow: the checkpoint's default is no cascade with the TA")
        rows = tuple(whole.names.index(stage.student.name) for stage in cascade.stages)
        asked = []
        for row, stage in zip(rows, cascade.stages, strict=True):
            name, temperature = stage.student.name, stage.student.temperature
            probability, margin = (
                whole.predictions.scores(name, temperature, score).float().tolist()
                for score in (Score.PROBABILITY, Score.MARGIN)
            )
            if stage.score is not Score.MARGIN:  # a server records it where thresholds are of it
                margin = [None] * whole.texts
            said = zip(whole.labels[row].tolist(), probability, margin, strict=True)
            asked.append([AskedStudent(name, temperature, *each) for each in said])
        served, sequences = whole.names[-1], whole.predictions.sequences
        records = tuple(
            ShadowRecord(
                time=TIME,
                weights_sha256=whole.weights_sha256,
                cascade=cascade.name,
                version="redrawn",
                precision=whole.precision,
                tokens=len(tokens),
                stages=stages,
                served=served,
                ta=stages[-1].label,
            )
            for tokens, stages in zip(sequences, zip(*asked, strict=True), strict=True)
        )
        return cls(whole, cascade, rows, records)

    def calibrated(
        self, rows: NDArray[np.int64], target: RiskTarget, by: TimeModel | None
    ) -> Chosen:
        """What `nestling calibrate --from-shadow` finds on some of the records."""
        drawn = [self.records[row] for row in rows.tolist()]
        try:
            choice = recalibrate(self.cascade, drawn, target, by).choice
        except NestlingError:
            return self.whole.alone()
        chosen = tuple(self.rows[row] for row in choice.rows)
        return self.whole.of(choice.score, chosen, choice.thresholds)
