"""MatTA (Verma et al. 2025, arXiv 2505.23337): the TA and the students inside it, trained together.

At every step the TA learns the labels and the teacher's soft targets, and each student that has
its turn learns the labels and the TA's soft targets. Which students have a turn is the sandwich
rule (Yu & Huang 2019, arXiv 1903.05134): the largest, the smallest, one between by lot.

A step of a small student costs a fraction of the TA's, so students see many more texts: beside
the labelled batch a pool of recombined texts, with the soft targets that the teacher gave them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...kernels import Layout
from ..batch import PackedBatch
from ..spec import StudentSpec
from ..transformer import NestedTransformer
from .examples import Examples, accuracy, pack, turn
from .losses import distillation_loss, label_loss, ramp, relation_loss
from .recipe import Recipe


@dataclass(frozen=True)
class Pool:
    """Texts that are distilled without labels: token ids, and the teacher's logits."""

    sequences: tuple[list[int], ...]
    targets: Tensor


@dataclass(frozen=True)
class StepInputs:
    """labelled: the batch that TA and students see. labels, teacher: its labels and the teacher's
    logits. shared: the same texts, then the pool's. pool: the teacher's logits on the latter.
    students: who has a turn. ramp: weight of the TA's soft targets.
    """

    labelled: PackedBatch
    labels: Tensor
    teacher: Tensor
    shared: PackedBatch
    pool: Tensor
    students: tuple[str, ...]
    ramp: float


class JointTraining:
    """The objective. students: by name, cheapest first, without the TA.

    targets: the teacher's logits on the training texts, (texts, labels).
    """

    name = "students"

    def __init__(
        self,
        model: NestedTransformer,
        students: Mapping[str, StudentSpec],
        train: Examples,
        targets: Tensor,
        pool: Pool,
        validation: Examples,
        recipe: Recipe,
    ) -> None:
        self.module = _JointLoss(model, students, recipe)
        self._model, self._students = model, dict(students)
        self._full = StudentSpec.full(model.architecture)
        self._train, self._targets, self._pool = train, targets, pool
        self._validation, self._recipe = validation, recipe
        self._steps = recipe.joint.steps(len(train))

    def inputs(self, step: int, rank: int, processes: int) -> tuple[StepInputs]:
        recipe, train, pool = self._recipe, self._train, self._pool
        chosen = turn(step, recipe.joint.batch_size, len(train), recipe.seed)[rank::processes]
        sequences = [train.sequences[i] for i in chosen]
        extra: list[list[int]] = []
        extra_targets = pool.targets[:0]
        if pool.sequences and recipe.pool_batch:
            from_pool = turn(step, recipe.pool_batch, len(pool.sequences), recipe.seed + 1)
            mine = from_pool[rank::processes]
            extra, extra_targets = [pool.sequences[i] for i in mine], pool.targets[mine]
        return (
            StepInputs(
                pack(train.sequences, chosen, self._full),
                train.labels[chosen],
                self._targets[chosen],
                PackedBatch.of([*sequences, *extra], self._full),
                extra_targets,
                sandwich(list(self._students), step, recipe.seed),
                ramp(step, round(recipe.ramp * self._steps)),
            ),
        )

    def evaluate(self) -> dict[str, float]:
        everyone = self._students | {"ta": self._full}
        return {n: accuracy(self._model, s, self._validation) for n, s in everyone.items()}


def sandwich(students: Sequence[str], step: int, seed: int) -> tuple[str, ...]:
    """The smallest student, and one of the others by lot; the TA, the largest, always trains."""
    if len(students) < 2:
        return tuple(students)
    between = np.random.default_rng([seed, step]).integers(1, len(students))
    return students[0], students[between]


class _JointLoss(nn.Module):
    """All losses of a step in one forward, so that one backward serves every process layout."""

    def __init__(
        self, model: NestedTransformer, students: Mapping[str, StudentSpec], recipe: Recipe
    ) -> None:
        super().__init__()
        self.model, self.students, self.recipe = model, dict(students), recipe

    def forward(self, step: StepInputs) -> dict[str, Tensor]:
        r = self.recipe
        device = self.model.tokens.device
        labels, teacher = step.labels.to(device), step.teacher.to(device)
        embedded = self.model.embed(step.shared)  # once: it has the largest gradient of all
        rows = len(step.labelled.tokens)
        ta = self.model(step.labelled, embedded[:rows], r.joint.dropout)
        members = 1 + len(step.students)
        losses = {
            "ta": r.label_weight * label_loss(ta, labels, r.smoothing)
            + distillation_loss(ta, teacher, r.temperature)
        }
        for name in step.students:
            spec = self.students[name]
            logits = self.model(step.shared.for_student(spec), embedded[:, : spec.dim])
            on_labelled, on_pool = logits[: len(labels)], logits[len(labels) :]
            loss = r.label_weight * label_loss(on_labelled, labels, r.smoothing)
            loss = loss + step.ramp * distillation_loss(on_labelled, ta, r.temperature)
            if len(on_pool):
                loss = loss + distillation_loss(on_pool, step.pool.to(device), r.temperature)
            if r.relation_weight:
                loss = loss + r.relation_weight * self._relations(step, embedded[:rows], spec)
            losses[name] = loss
        return {name: loss / members for name, loss in losses.items()}

    def _relations(self, step: StepInputs, embedded: Tensor, spec: StudentSpec) -> Tensor:
        """MiniLMv2's loss at the student's last layer, which the TA has too."""
        layer = spec.layers[-1]
        layout = step.labelled.layout
        mask = layout.padded_mask.to(embedded.device)
        total = embedded.new_zeros(())
        with torch.no_grad():
            ta = self._inputs(step.labelled, embedded, layer)
        student = self._inputs(step.labelled.for_student(spec), embedded[:, : spec.dim], layer)
        part = self.model.layers[layer]
        inner = spec.heads[-1] * self.model.architecture.head_dim
        full = self.model.architecture.heads * self.model.architecture.head_dim
        for name in ("query", "key", "value"):
            linear = getattr(part, name)
            theirs = linear(ta, layout, (full,), (ta.shape[1],)).detach()
            ours = linear(student, layout, (inner,), (spec.dim,))
            total = total + relation_loss(
                _pad(ours, layout), _pad(theirs, layout), mask, self.recipe.relation_heads
            )
        return total / 3

    def _inputs(self, batch: PackedBatch, embedded: Tensor, layer: int) -> Tensor:
        rows, _ = self.model.encode(batch, embedded, before=layer)
        return rows


def _pad(rows: Tensor, layout: Layout) -> Tensor:
    """(rows, width) → (sequences, longest, width)."""
    grid = rows.new_zeros(len(layout.lengths) * layout.longest, rows.shape[1])
    positions = layout.padded_positions.to(rows.device)
    return grid.index_copy(0, positions, rows).view(-1, layout.longest, rows.shape[1])
