"""What is optimised in place of the recipe's joint training: that with something changed, or one
student by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nestling.models.heads import task_of
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.training.matta import JointTraining, StepInputs
from nestling.models.training.recipe import Recipe

LATE = 0.75
"""Share of the steps after which Gatekeeper's loss takes over: it tunes students that are
trained."""

Change = Callable[[StepInputs, int], StepInputs]
"""What becomes of a step's inputs. The second argument is its number."""


def unchanged(inputs: StepInputs, step: int) -> StepInputs:
    """As the recipe has them."""
    return inputs


class ChangedTraining:
    """The recipe's objective with other inputs, or another module that computes the losses.

    late_from: the step from which the module is told, as its second argument, that it is late; None
    for a module that does not ask.
    """

    def __init__(
        self,
        joint: JointTraining,
        change: Change = unchanged,
        module: nn.Module | None = None,
        late_from: int | None = None,
    ) -> None:
        self.name, self.advice, self.phase = joint.name, joint.advice, joint.phase
        self.module: nn.Module = module or joint.module
        self.relative_rates: Mapping[nn.Parameter, float] = joint.relative_rates
        self._joint, self._change, self._late_from = joint, change, late_from

    def inputs(self, step: int, rank: int, processes: int) -> tuple[Any, ...]:
        (found,) = self._joint.inputs(step, rank, processes)
        changed = self._change(found, step)
        return (changed,) if self._late_from is None else (changed, step >= self._late_from)

    def evaluate(self) -> dict[str, float]:
        """Nothing: no state is chosen, and the test texts are asked at the end."""
        return {}


class AloneLoss(nn.Module):
    """One student, which learns labels and the teacher's soft targets, as the recipe weighs them.

    soft: whether there are soft targets; without them the labels alone are learnt.
    """

    def __init__(
        self, model: NestedTransformer, name: str, spec: StudentSpec, recipe: Recipe, soft: bool
    ) -> None:
        super().__init__()
        self.model, self.spec, self.recipe, self.soft, self.student = (
            model,
            spec,
            recipe,
            soft,
            name,
        )

    def forward(self, step: StepInputs) -> dict[str, Tensor]:
        r, device = self.recipe, self.model.device
        logits = self.model(step.shared.for_student(self.spec), dropout=r.joint.dropout)
        task = task_of(self.model.architecture.head())
        hard = task.label_loss(logits[: len(step.labels)], step.labels.to(device), r.smoothing)
        if not self.soft:
            return {self.student: hard}
        distilled = task.distillation_loss(logits, step.teacher.to(device), r.temperature)
        return {self.student: r.label_weight * hard + distilled}


class GatekeeperLoss(nn.Module):
    """The joint losses; once it is late, Gatekeeper's in place of the students'.

    alpha: see `gatekeeper_loss`.
    """

    def __init__(
        self,
        joint: nn.Module,
        model: NestedTransformer,
        students: Mapping[str, StudentSpec],
        alpha: float,
    ) -> None:
        super().__init__()
        self.joint, self.students, self.alpha = joint, dict(students), alpha
        self._models = (model,)  # no module of its own: a state has its weights once

    def forward(self, step: StepInputs, late: bool) -> dict[str, Tensor]:
        if not late:
            early: dict[str, Tensor] = self.joint(step)
            return early
        losses: dict[str, Tensor] = self.joint(replace(step, students=()))  # the TA's, in its turn
        (model,) = self._models
        device = model.device
        unlabelled = step.teacher[len(step.labels) :].argmax(-1)
        labels = torch.cat([step.labels, unlabelled]).to(device)
        for name in step.students:
            logits = model(step.shared.for_student(self.students[name]))
            losses[name] = gatekeeper_loss(logits, labels, self.alpha)
        return {name: loss / len(losses) for name, loss in losses.items()}


def gatekeeper_loss(logits: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """Gatekeeper (Rabanser et al. 2025, arXiv 2502.19335): cross-entropy where the
    answer is right, the divergence from the uniform distribution where it is wrong.

    alpha · Σ_right CE / rows + (1 − alpha) · Σ_wrong KL(p ‖ uniform) / rows.
    logits: (rows, classes). labels: (rows,) int64.
    """
    log_p = F.log_softmax(logits.float(), dim=-1)
    wrong = (logits.detach().argmax(-1) != labels).float()
    entropy = F.cross_entropy(logits.float(), labels, reduction="none")
    uniform = torch.log(torch.tensor(float(logits.shape[-1])))
    divergence = (log_p.exp() * log_p).sum(-1) + uniform
    return (alpha * (1 - wrong) * entropy + (1 - alpha) * wrong * divergence).mean()
