"""What a training can do in the minutes it is given, from what a step takes on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from .recipe import Recipe

TEACHER = 0.25
"""Share of the minutes that fine-tuning may take."""
JUDGING = 0.15
"""Share that the teacher's soft targets may take."""
SPARED = 0.9
"""Of the time that is left for the joint steps: the rest goes to evaluating and writing."""
MOST = 4
"""Times as many joint steps as the data ask for, at most: more teach nothing more."""


@dataclass(frozen=True)
class Budget:
    """minutes: of the whole run; None leaves the recipe as the data ask for it."""

    minutes: float | None
    started: float = field(default_factory=time.monotonic)

    def before_fine_tuning(self, recipe: Recipe, seconds: float) -> Recipe:
        """seconds: of one of the teacher's steps, forward and backward.

        A text is judged in about a third of its share of that, since nothing goes backward.
        """
        if self.minutes is None:
            return recipe
        total = 60 * self.minutes
        judging = seconds / 3 / recipe.finetune.batch_size
        steps = min(recipe.finetune.steps, max(1, int(TEACHER * total / seconds)))
        return replace(
            recipe,
            finetune=replace(recipe.finetune, steps=steps),
            pool=min(recipe.pool, int(JUDGING * total / judging)),
            importance_batches=min(recipe.importance_batches, max(1, steps // 8)),
        )

    def before_joint_training(self, recipe: Recipe, seconds: float) -> Recipe:
        """seconds: of a joint step."""
        if self.minutes is None:
            return recipe
        left = SPARED * (60 * self.minutes - (time.monotonic() - self.started))
        steps = min(MOST * recipe.joint.steps, max(1, int(left / seconds)))
        return replace(recipe, joint=replace(recipe.joint, steps=steps))
