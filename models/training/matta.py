"""MatTA (Verma et al. 2025, arXiv 2505.23337): the TA and the students inside it, trained together.

The TA learns the labels and the teacher's soft targets, and each student that has its turn learns
the labels and the TA's soft targets. Which students have a turn is the sandwich rule (Yu & Huang
2019, arXiv 1903.05134): the largest, the smallest, one between by lot.

A step of a small student costs a fraction of the TA's, so students see many more texts: beside
the labelled batch some from a pool of recombined texts, which the teacher has judged, and steps in
which the TA has no turn; there the teacher's soft targets stand in for the TA's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
import torch
from torch import Tensor, nn

from ...kernels.layout import Layout
from ...kernels.linear import linear
from ..checkpoint.manifest import TA
from ..heads import task_of
from ..nested.batch import PackedBatch
from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from .examples import Examples, accuracy, turn
from .losses import ramp, relation_loss
from .recipe import Recipe


@dataclass(frozen=True)
class Pool:
    """Texts that are distilled without labels: token ids, and the teacher's logits.

    real: how many of them, the first, people wrote; the others are recombined. The TA prefers
    them.
    """

    sequences: tuple[list[int], ...]
    targets: Tensor
    real: int = 0


@dataclass(frozen=True)
class StepInputs:
    """shared: the labelled texts, then those from the pool; what students see. labels: of the
    first texts, or their probabilities. teacher: the teacher's logits on all. ta: the leading
    texts, which the TA sees; None in a step in which it does not train.
    students: who has a turn. ramp: weight of the TA's soft targets.
    """

    shared: PackedBatch
    labels: Tensor
    teacher: Tensor
    ta: PackedBatch | None
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
        held_out: Examples,
        recipe: Recipe,
    ) -> None:
        self.phase = recipe.joint
        self.module = _JointLoss(model, students, recipe)
        self.advice = f"lower --learning-rate, which is {recipe.joint.learning_rate:g}"
        if recipe.relation_weight:
            self.advice += f", or --relation-weight, {recipe.relation_weight:g}"
        self.relative_rates = _of_the_ta_alone(model, students, recipe.ta_rate)
        self._model, self._students = model, dict(students)
        self._full = StudentSpec.full(model.architecture)
        self._train, self._targets, self._pool = train, targets, pool
        self._held_out, self._recipe = held_out, recipe

    def inputs(self, step: int, rank: int, processes: int) -> tuple[StepInputs]:
        recipe, train, pool = self._recipe, self._train, self._pool
        chosen = turn(step, recipe.joint.batch_size, len(train), recipe.seed)[rank::processes]
        sequences = [train.sequences[i] for i in chosen]
        targets = self._targets[chosen]
        for_ta = len(sequences)
        ta_turn = step % recipe.ta_every == 0 or not self._students
        if pool.sequences and recipe.pool_batch:
            from_pool = turn(step, recipe.pool_batch, len(pool.sequences), recipe.seed + 1)
            mine = from_pool[rank::processes]
            mine = mine[np.argsort(mine >= pool.real, kind="stable")]  # the TA sees the first
            sequences += [pool.sequences[i] for i in mine]
            targets = torch.cat([targets, pool.targets[mine]])
            for_ta += recipe.pool_ta // processes
        return (
            StepInputs(
                PackedBatch.of(sequences, self._full),
                train.taught[chosen],
                targets,
                PackedBatch.of(sequences[:for_ta], self._full) if ta_turn else None,
                sandwich(list(self._students), step, recipe.seed),
                ramp(step, round(recipe.ramp * recipe.joint.steps)),
            ),
        )

    def evaluate(self) -> dict[str, float]:
        everyone = self._students | {TA: self._full}
        if not len(self._held_out):
            return {}
        return {n: accuracy(self._model, s, self._held_out, n) for n, s in everyone.items()}


def sandwich(students: Sequence[str], step: int, seed: int) -> tuple[str, ...]:
    """The smallest student, and one of the others by lot; the largest, the TA, is not named."""
    if len(students) < 2:
        return tuple(students)
    between = int(np.random.default_rng([seed, step]).integers(1, len(students)))
    return students[0], students[between]


class _JointLoss(nn.Module):
    """All losses of a step in one forward, so that one backward serves every process layout."""

    def __init__(
        self, model: NestedTransformer, students: Mapping[str, StudentSpec], recipe: Recipe
    ) -> None:
        super().__init__()
        self.model, self.students, self.recipe = model, dict(students), recipe
        self._task = task_of(model.architecture.head())

    def forward(self, step: StepInputs) -> dict[str, Tensor]:
        r, device = self.recipe, self.model.device
        labels, teacher = step.labels.to(device), step.teacher.to(device)
        embedded = self.model.embed(step.shared)  # once: it has the largest gradient of all
        losses, targets = {}, teacher
        if step.ta is not None:
            ta = self.model(step.ta, embedded[: len(step.ta.tokens)], r.joint.dropout)
            losses[TA] = self._loss(ta, labels, teacher[: len(ta)])
            # A student's soft targets: the TA's where it has judged, mixed in slowly.
            mixed = torch.lerp(teacher[: len(ta)], ta.detach().float(), step.ramp)
            targets = torch.cat([mixed, teacher[len(ta) :]])
        for name in step.students:
            spec = self.students[name]
            logits = self.model(step.shared.for_student(spec), embedded[:, : spec.dim])
            losses[name] = self._loss(logits, labels, targets)
            if r.relation_weight and step.ta is not None:
                relations = self._relations(step.ta, embedded[: len(step.ta.tokens)], spec)
                losses[name] = losses[name] + r.relation_weight * relations
        return {name: loss / len(losses) for name, loss in losses.items()}

    def _loss(self, logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        """Labels of the first rows, soft targets of all."""
        r = self.recipe
        hard = self._task.label_loss(logits[: len(labels)], labels, r.smoothing)
        soft = self._task.distillation_loss(logits, targets, r.temperature)
        return r.label_weight * hard + soft

    def _relations(self, batch: PackedBatch, embedded: Tensor, spec: StudentSpec) -> Tensor:
        """MiniLMv2's loss at the student's last layer, which the TA has too."""
        layer = spec.layers[-1]
        layout = batch.layout
        mask = layout.on(embedded.device).padded_mask
        total = embedded.new_zeros(())
        with torch.no_grad():
            ta = self._inputs(batch, embedded, layer)
        student = self._inputs(batch.for_student(spec), embedded[:, : spec.dim], layer)
        part, a = self.model.block(layer), self.model.architecture
        inner, full = spec.attention_heads[-1] * a.head_dim, a.attention_heads * a.head_dim
        heads = gcd(inner, full, self.recipe.relation_heads)
        for weights in (part.query, part.key, part.value):
            theirs = linear(ta, [weights.prefix(full, ta.shape[1])], layout.rows).detach()
            ours = linear(student, [weights.prefix(inner, spec.dim)], layout.rows)
            total = total + relation_loss(_pad(ours, layout), _pad(theirs, layout), mask, heads)
        return total / 3

    def _inputs(self, batch: PackedBatch, embedded: Tensor, layer: int) -> Tensor:
        rows, _ = self.model.encode(batch, embedded, before=layer)
        return rows


def _pad(rows: Tensor, layout: Layout) -> Tensor:
    """(rows, width) → (sequences, longest, width)."""
    grid = rows.new_zeros(len(layout.lengths) * layout.longest, rows.shape[1])
    positions = layout.on(rows.device).padded_positions
    return grid.index_copy(0, positions, rows).view(-1, layout.longest, rows.shape[1])


def _of_the_ta_alone(
    model: NestedTransformer, students: Mapping[str, StudentSpec], rate: float
) -> dict[nn.Parameter, float]:
    """The parameters of the layers that no student has, with their relative learning rate."""
    shared = {layer for spec in students.values() for layer in spec.layers}
    return {
        parameter: rate
        for index, layer in enumerate(model.layers)
        if index not in shared
        for parameter in layer.parameters()
    }
