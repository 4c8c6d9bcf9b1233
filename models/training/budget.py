"""What a training can do in the minutes it is given, from what a step takes on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from ..errors import NestlingError
from .loop import EVALUATIONS
from .recipe import Recipe

TEACHER = 0.25
"""Share of the minutes that fine-tuning may take."""
JUDGING = 0.15
"""Share that the teacher's soft targets may take."""
SPARED = 0.9
"""Of the time that is left for the joint steps and their evaluations: the rest goes to writing."""
MOST = 4
"""Times as many joint steps as the data ask for, at most: more teach nothing more."""


@dataclass(frozen=True)
class Budget:
    """minutes: of the whole run; None leaves the recipe as the data ask for it."""

    minutes: float | None
    started: float = field(default_factory=time.monotonic)

    def before_fine_tuning(
        self, recipe: Recipe, seconds: float, judged: int = 0, held_out: int = 0
    ) -> Recipe:
        """seconds: of one of the teacher's steps, forward and backward. judged: training texts and
        unlabelled ones, whose soft targets are needed. held_out: texts of an evaluation.

        A text is judged in about a third of its share of a step, since nothing goes backward.
        Raises NestlingError where judging alone takes more than half of the minutes.
        """
        if self.minutes is None:
            return recipe
        total = 60 * self.minutes
        judging = seconds / 3 / recipe.finetune.batch_size
        if judged * judging > total / 2:
            raise NestlingError(
                f"--minutes: {self.minutes:g} are too few: the teacher's soft targets of "
                f"{judged:,} texts alone take about {judged * judging / 60:.0f} minutes here"
            )
        evaluating = EVALUATIONS * held_out * judging
        steps = min(recipe.finetune.steps, max(1, int((TEACHER * total - evaluating) / seconds)))
        return replace(
            recipe,
            finetune=replace(recipe.finetune, steps=steps),
            pool=min(recipe.pool, int(JUDGING * total / judging)),
            importance_batches=min(recipe.importance_batches, max(1, steps // 8)),
        )

    def before_joint_training(self, recipe: Recipe, seconds: float, held_out: int = 0) -> Recipe:
        """seconds: of a joint step. held_out: texts of an evaluation, which asks each of everyone
        in about half of its share of a step.
        """
        if self.minutes is None:
            return recipe
        texts = recipe.joint.batch_size + recipe.pool_batch
        evaluating = EVALUATIONS * held_out * seconds / texts / 2
        left = SPARED * (60 * self.minutes - (time.monotonic() - self.started)) - evaluating
        steps = min(MOST * recipe.joint.steps, max(1, int(left / seconds)))
        return replace(recipe, joint=replace(recipe.joint, steps=steps))
