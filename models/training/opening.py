"""What a training says before it begins: what it will do, and what it was given too little for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..nested.head_spec import HeadSpec
from .held_out import TELLING
from .material import Material
from .recipe import Recipe


def opening(material: Material, recipe: Recipe, bfloat16: bool, ratio: float) -> list[str]:
    """The plan in a few lines. ratio: how many times as fast bfloat16 is here as float32."""
    lengths = [len(ids) for ids in material.train.sequences]
    held_out = len(material.held_out)
    head = material.architecture.head()
    lines = [
        f"data: {told(head)}; {len(lengths):,} texts train, {held_out:,} are held out; "
        f"{len(head.labels)} labels; {np.median(lengths):.0f} tokens in the middle, "
        f"{material.longest} are read at most, so {material.too_long:,} texts are cut",
        f"plan: {_fine_tuning(material, recipe)}{joint_plan(recipe, bfloat16, ratio)}",
    ]
    seen = recipe.joint.steps * recipe.joint.batch_size / max(1, len(lengths))
    if seen < 1:
        lines.append(
            f"note: in so many steps a text is seen {seen:.2f} times, so some are not; --steps or "
            "--minutes give more"
        )
    if held_out < TELLING:
        lines.append(
            f"warning: {held_out} held-out texts are too few to choose by; the last state is kept, "
            "and the accuracies shown say little"
        )
    return lines


def told(head: HeadSpec) -> str:
    """What the data are taken to be, so that a mistake is seen before anything is computed."""
    asked = "pairs of texts" if head.inputs == "pair" else "single texts"
    return f"{asked}, {'several labels' if head.task == 'multi_label' else 'one label'} each"


def joint_plan(recipe: Recipe, bfloat16: bool, ratio: float) -> str:
    """Of TA and students. ratio: how many times as fast bfloat16 is here as float32."""
    precision = "bfloat16" if bfloat16 else "float32"
    return (
        f"{recipe.joint.steps:,} steps for TA and students, of {recipe.joint.batch_size} texts "
        f"and {recipe.pool_batch} recombined ones, in {precision} (bfloat16 is {ratio:.2f} times "
        "as fast as float32 here)"
    )


def too_little(decided: Mapping[str, Any], recipe: Recipe) -> str | None:
    """A warning where the minutes leave less than half of the steps that the data ask for."""
    if 2 * decided["joint"] >= recipe.joint.steps:
        return None
    needed = recipe.joint.steps * decided["seconds"] / 60
    return (
        f"warning: --minutes leaves {decided['joint']:,} steps for TA and students; data like this "
        f"ask for {recipe.joint.steps:,}, which take about {needed:.0f} minutes here"
    )


def _fine_tuning(material: Material, recipe: Recipe) -> str:
    if material.pretrained.labels:
        return "the teacher knows the labels; "
    return f"{recipe.finetune.steps:,} steps make the encoder a teacher; "
