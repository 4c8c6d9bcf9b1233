"""What a run asks the machine before a phase; `Workplace.decision` keeps the answer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..nested.spec import StudentSpec
from ..nested.trunk import NestedTransformer
from .budget import Budget
from .examples import Examples, pack, turn
from .matta import JointTraining
from .recipe import Recipe
from .trial import bfloat16_is_faster, seconds_per_step


def before_fine_tuning(
    model: NestedTransformer,
    train: Examples,
    recipe: Recipe,
    budget: Budget,
    judged: int = 0,
    held_out: int = 0,
) -> dict[str, Any]:
    """The precision that trains faster, and how much of the recipe the minutes leave.

    judged, held_out: texts, as `Budget.before_fine_tuning` has them, which also says what is
    raised.
    """
    i = turn(0, recipe.finetune.batch_size, len(train), recipe.seed)
    batch = pack(train.sequences, i, StudentSpec.full(model.architecture))
    taught = train.taught[i].to(model.device)

    def loss(_: int) -> Tensor:
        return train.task.label_loss(model(batch), taught)

    faster, ratio, seconds = bfloat16_is_faster(loss, model.device)
    model.zero_grad()
    left = budget.before_fine_tuning(recipe, seconds, judged, held_out)
    return {
        "bfloat16": faster,
        "ratio": ratio,
        "finetune": left.finetune.steps,
        "pool": left.pool,
        "importance_batches": left.importance_batches,
    }


def before_joint_training(
    objective: JointTraining,
    device: torch.device,
    bfloat16: bool,
    recipe: Recipe,
    budget: Budget,
    held_out: int,
) -> dict[str, Any]:
    """How many joint steps the minutes leave. held_out: texts of an evaluation."""
    if budget.minutes is None:
        return {"joint": recipe.joint.steps}

    def loss(step: int) -> Tensor:
        losses: dict[str, Tensor] = objective.module(*objective.inputs(step, 0, 1))
        return torch.stack(list(losses.values())).sum()

    seconds = seconds_per_step(loss, device, bfloat16, runs=recipe.ta_every)
    objective.module.zero_grad()
    left = budget.before_joint_training(recipe, seconds, held_out)
    return {"joint": left.joint.steps, "seconds": seconds}
