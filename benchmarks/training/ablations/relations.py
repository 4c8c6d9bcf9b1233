"""MiniLMv2's relation loss straight from the teacher, with no TA in between."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

import torch
from torch import Tensor, nn

from nestling.kernels.layout import Layout
from nestling.kernels.linear import linear
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.training.losses import relation_loss
from nestling.models.training.matta import StepInputs


class TeacherRelations(nn.Module):
    """The joint losses, and to each student's that of its relations with the teacher's.

    teacher: an encoder of the TA's architecture, which does not train. The layer is the student's
    last, as in the recipe's loss from the TA, and so are the steps: those in which the TA has a
    turn. weight: of the loss, before it is shared among the
    losses of a step. relation_heads: at most.
    """

    def __init__(
        self,
        joint: nn.Module,
        model: NestedTransformer,
        teacher: NestedTransformer,
        students: Mapping[str, StudentSpec],
        weight: float,
        relation_heads: int,
    ) -> None:
        super().__init__()
        self.joint, self.students = joint, dict(students)
        self.weight, self.heads = weight, relation_heads
        # No modules of its own: a state has the model's weights once, and none of the teacher's.
        self._models = model, teacher.requires_grad_(False)

    def forward(self, step: StepInputs) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.joint(step)
        if step.ta is None:
            return losses
        for name in step.students:
            found = self._relations(step.ta, self.students[name])
            losses[name] = losses[name] + self.weight * found / len(losses)
        return losses

    def _relations(self, batch: PackedBatch, spec: StudentSpec) -> Tensor:
        model, teacher = self._models
        a, layer = model.architecture, spec.layers[-1]
        inner, full = spec.attention_heads[-1] * a.head_dim, a.attention_heads * a.head_dim
        heads = gcd(inner, full, self.heads)
        mask = batch.layout.on(model.device).padded_mask
        with torch.no_grad():
            theirs = _projected(teacher, batch, layer, full, a.dim)
        ours = _projected(model, batch.for_student(spec), layer, inner, spec.dim)
        pairs = zip(ours, theirs, strict=True)
        losses = [relation_loss(own, other, mask, heads) for own, other in pairs]
        return torch.stack(losses).mean()


def _projected(
    model: NestedTransformer, batch: PackedBatch, layer: int, inner: int, dim: int
) -> list[Tensor]:
    """Queries, keys and values of a layer: (sequences, longest, inner) each."""
    rows, layout = model.encode(batch, before=layer)
    part = model.block(layer)
    return [
        _padded(linear(rows, [weights.prefix(inner, dim)], layout.rows), layout)
        for weights in (part.query, part.key, part.value)
    ]


def _padded(rows: Tensor, layout: Layout) -> Tensor:
    grid = rows.new_zeros(len(layout.lengths) * layout.longest, rows.shape[1])
    positions = layout.on(rows.device).padded_positions
    return grid.index_copy(0, positions, rows).view(-1, layout.longest, rows.shape[1])
