"""Who answers a batch: the students' logits, and the gate on the device where they lie."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import torch

from ...kernels import operations_for
from ..cascade.policy import Student
from ..nested.batch import PackedBatch, Run
from .base import ForwardBatch, ForwardOutput


class Answerer:
    """Asks the students of one checkpoint.

    run: logits of a packed batch, such as the model itself. students: by name.
    """

    def __init__(self, run: Run, students: Mapping[str, Student]) -> None:
        self._run, self._students = run, students

    @torch.inference_mode()
    def __call__(self, questions: ForwardBatch) -> ForwardOutput:
        """All in one packed batch."""
        sequences = iter(questions.sequences)
        batch = PackedBatch.mixed(
            [
                ([next(sequences) for _ in range(count)], self._students[name].spec)
                for name, count in questions.runs
            ]
        )
        started = time.perf_counter()
        logits = self._run(batch)
        device = logits.device
        temperature, threshold = (
            torch.from_numpy(np.array(values, np.float32)).to(device)  # torch.tensor is slower
            for values in (questions.temperatures, questions.thresholds)
        )
        verdict = operations_for(device).gate(logits, temperature, threshold)
        labels, confidences = verdict.label.tolist(), verdict.confidence.tolist()
        accepts, rows = verdict.accept.tolist(), logits.float().cpu().numpy()
        return ForwardOutput(labels, confidences, accepts, rows, time.perf_counter() - started)
