"""The best students of a search, asked about all texts: who is added, and what each is worth.

The texts that were looked at choose; the others measure what was chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..calibration.gather import gather
from ..calibration.temperature import fit_temperature
from ..cascade.policy import Student
from ..cascade.score import Score
from ..checkpoint.held_out import HeldOutAnswers
from ..checkpoint.load import Checkpoint
from ..checkpoint.manifest import TA
from ..evaluation.predictions import predict_all
from ..inputs.text import Text
from ..nested.spec import StudentSpec
from ..precision import margin_of
from ..progress import SILENT, Progress
from .costs import StudentCosts
from .division import Division
from .found import FoundCascade, FoundStudent
from .limits import SearchLimits
from .stages import WORTH_A_STUDENT, PlannedCascade, cheapest_stages


class Finals:
    """names: of all students that are asked, by their spec, the TA among them. parts: how the texts
    were divided; `costs` is of `parts.rows`, in this order.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        names: Mapping[StudentSpec, str],
        costs: StudentCosts,
        parts: Division,
        limits: SearchLimits,
    ) -> None:
        self._checkpoint, self._costs, self._limits = checkpoint, costs, limits
        specs = sorted(names, key=lambda spec: (names[spec] == TA, costs.share(spec)))
        self.students = [Student.of(names[s], s, checkpoint.architecture) for s in specs]
        self._known = [
            row for row, each in enumerate(self.students) if each.name in checkpoint.students
        ]
        self._new = set(range(len(self.students))) - set(self._known)
        self._looking = np.arange(len(parts.looking))
        self._measuring = np.arange(len(parts.looking), parts.texts)

    def ask(self, texts: Sequence[Text], truth: Tensor, progress: Progress = SILENT) -> None:
        """All students about all texts. truth: (texts,) int64."""
        everyone = replace(self._checkpoint, students={each.name: each for each in self.students})
        predictions = predict_all(everyone, texts, "the texts", progress=progress)
        self._predictions, self._truth = predictions, truth
        progress.step("planning a cascade")
        rows = torch.from_numpy(self._looking)
        temperatures = {
            each.name: fit_temperature(
                predictions.task, predictions.logits[each.name][rows], truth[rows]
            )
            for each in self.students
        }
        cost = np.array([self._costs.per_text(each.spec) for each in self.students])
        margin = margin_of("float32")
        found = gather(predictions, truth, temperatures, Score.MARGIN, cost, margin)
        right = [(predictions.labels(each.name) == truth).numpy() for each in self.students]
        self._right = np.array(right)
        self._seen, self._held = found.select(self._looking), found.select(self._measuring)

    def answers(self, students: Collection[str]) -> HeldOutAnswers:
        """What these students answer on all texts."""
        tokens = torch.tensor(list(map(len, self._predictions.sequences)))
        logits = {name: self._predictions.logits[name].float() for name in students}
        return HeldOutAnswers(self._predictions.task, self._truth, tokens, logits)

    def choose(self, most: int) -> tuple[set[int], FoundCascade, FoundCascade]:
        """At most so many rows of new students, and the cascades without and with them."""
        before = self._planned(self._known)
        everyone = self._planned(range(len(self.students)))
        wanted = [row for row in everyone.rows if row in self._new]
        wanted += [row for row in self._alone() if row in self._new and row not in wanted]
        added = set(wanted[:most])
        after = self._planned(sorted({*self._known, *added}))
        if after.measured(self._seen)[0] >= before.measured(self._seen)[0]:
            after, added = before, added - set(everyone.rows) | (added & set(self._alone()))
        return added, self._told(before), self._told(after)

    def told(self, row: int, added: bool) -> FoundStudent:
        """What was measured of a student. added: whether the checkpoint gets it."""
        student = self.students[row]
        return FoundStudent(
            name=student.name,
            spec=student.spec,
            known=row not in self._new,
            added=added,
            flops=self._costs.flops_share(student.spec),
            cost=self._costs.share(student.spec),
            latency=self._costs.latency(student.spec),
            right=int(self._right[row, self._measuring].sum()),
            texts=len(self._measuring),
        )

    def _planned(self, rows: Sequence[int]) -> PlannedCascade:
        """The cheapest cascade of some students. Its rows are those of all."""
        own = list(rows)
        new = [place for place, row in enumerate(own) if row in self._new]
        found = cheapest_stages(self._seen.stages(own), self._limits.tolerated, new)
        return replace(found, rows=tuple(own[place] for place in found.rows))

    def _alone(self) -> list[int]:
        """Who would answer alone: the most accurate within the limits, if there are any; and the
        cheapest that is as right as the TA, but for the drop.
        """
        accuracy = self._right[:, self._looking].mean(axis=1)
        price = np.array([self._costs.share(each.spec) for each in self.students])
        price[sorted(self._new)] *= 1 + WORTH_A_STUDENT
        found = []
        if self._limits.of_students:
            inside = [r for r, s in enumerate(self.students) if self._limits.allow(s.spec)]
            best = max((accuracy[row] for row in inside), default=0.0)
            found += [row for row in inside if accuracy[row] == best][:1]
        right = np.flatnonzero(accuracy >= accuracy[-1] - self._limits.max_drop)
        return [*found, int(right[price[right].argmin()])]

    def _told(self, planned: PlannedCascade) -> FoundCascade:
        cost, lost = planned.measured(self._held)
        return FoundCascade(tuple(self.students[row].name for row in planned.rows), cost, lost)
