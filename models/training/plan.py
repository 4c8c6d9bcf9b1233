"""How long a training is and how large its steps are, from the data alone.

The rules are fitted to nothing but the orders of magnitude: steps grow with the square root of the
examples, since each further example teaches less, and slowly with the labels; a step's texts shrink
where they are long, so that a step of long texts costs about what one of short texts does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from .recipe import Recipe

STEPS = 8.0
"""Joint steps of one example with few labels; times the root of the examples."""
FEWEST = 200
FINE_TUNING = 1 / 2
"""Steps that make an encoder the teacher, per joint step."""
FURTHER = 1 / 3
"""Joint steps of further training, per step of a first one on as many texts."""
GENTLY = 0.4
"""Learning rate of further training, relative to a first one's: what was learnt is to be kept."""
TOKENS = 6_144
"""In a joint step's texts, about."""
COVERED = 0.95
"""Share of the training texts that are read to their end, unless they are longer than LONGEST."""
LONGEST = 256
SHORTEST = 32


@dataclass(frozen=True)
class Wishes:
    """What the user says instead of the plan; None where nothing is said.

    steps: of joint training; fine-tuning keeps its share. minutes: of the whole run, at most.
    learning_rate: of joint training. pool: recombined texts per training text.
    """

    steps: int | None = None
    minutes: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    pool: int | None = None
    relation_weight: float = 0.0
    seed: int = 0


def longest_text(lengths: Sequence[int]) -> int:
    """Tokens that training reads of a text, from the lengths of all in tokens.

    As many as cover `COVERED` of the texts, in whole sixteens, from `SHORTEST` to `LONGEST`.
    """
    covering = int(np.quantile(lengths, COVERED, method="higher"))
    return min(max(-(-covering // 16) * 16, SHORTEST), LONGEST)


def planned(wishes: Wishes, lengths: Sequence[int], labels: int, unlabelled: int = 0) -> Recipe:
    """The recipe for training texts of these lengths, in tokens as training reads them.

    unlabelled: how many texts without labels there are beside them, which TA and students learn
    from, too.

    Raises NestlingError for wishes that are no numbers to train with.
    """
    recipe = Recipe(relation_weight=wishes.relation_weight, seed=wishes.seed)
    examples = len(lengths)
    texts = recipe.joint.batch_size + recipe.pool_batch
    share = min(1.0, TOKENS / (texts * float(np.mean(lengths))))
    many_labels = max(1.0, labels / 6) ** 0.2
    fine_tuning, steps = (
        wishes.steps or max(FEWEST, round(STEPS * sqrt(texts) * many_labels))
        for texts in (examples, examples + unlabelled)
    )
    batch_size = wishes.batch_size or max(8, round(share * recipe.joint.batch_size))
    # A rate that suits large batches leads small ones astray. The root of their sizes (Malladi et
    # al. 2022, arXiv 2205.10287) is not enough where long texts are a quarter as many.
    rate = recipe.joint.learning_rate * min(1.0, batch_size / recipe.joint.batch_size)
    pool_batch = max(24, round(share * recipe.pool_batch))
    pool = 8 * examples if wishes.pool is None else wishes.pool * examples
    return replace(
        recipe,
        finetune=replace(
            recipe.finetune,
            # Long texts come few at a time: a teacher that has seen each but once is a poor one.
            steps=max(1, round(FINE_TUNING * fine_tuning / sqrt(share))),
            batch_size=max(16, round(share * recipe.finetune.batch_size)),
        ),
        joint=replace(
            recipe.joint,
            steps=steps,
            batch_size=batch_size,
            learning_rate=rate if wishes.learning_rate is None else wishes.learning_rate,
        ),
        pool=pool if wishes.pool is not None else min(pool, max(examples, steps * pool_batch // 2)),
        pool_batch=pool_batch,
        pool_ta=max(4, round(share * recipe.pool_ta)),
    )


def planned_further(wishes: Wishes, lengths: Sequence[int], labels: int) -> Recipe:
    """As `planned`, for a checkpoint that is trained further: fewer steps, and smaller ones."""
    first = planned(wishes, lengths, labels).joint
    if wishes.steps is None:
        wishes = replace(wishes, steps=max(1, round(FURTHER * first.steps)))
    if wishes.learning_rate is None:
        wishes = replace(wishes, learning_rate=GENTLY * first.learning_rate)
    return planned(wishes, lengths, labels)
