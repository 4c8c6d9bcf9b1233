"""A checkpoint with two promises about disagreement: one that is kept, and one that is broken."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from nestling.models import Cascade, Stage, load_checkpoint
from nestling.models.cascade.path import CascadePath, PathVector
from nestling.models.cascade.policy import Guarantee
from nestling.models.checkpoint.save import write_calibration

from ..conftest import tiny_model, write_changed

KEPT, BROKEN = "kept", "broken"
"""The first asks the TA in the end, always; the second never does, and promises the same."""


def promising(calibrated: Path, folder: Path) -> Path:
    """A checkpoint in a folder, like the calibrated one but for a `tiny` that often differs from
    the TA.
    """
    copied = shutil.copytree(calibrated, folder / "copied")
    model = tiny_model()
    with torch.no_grad():
        model.embedding.tokens.mul_(6)
    directory = write_changed(copied, model)
    promise(directory)
    return directory


def promise(directory: Path, sure: float = 1e-6) -> None:
    """Write both cascades. sure: how sure `tiny` must be in the second one; it always is."""
    checkpoint = load_checkpoint(directory)
    guarantee = Guarantee("ltt", "disagreement", 0.1, 0.95, 100, 100, 0.0, "", "")
    cascades = {
        name: Cascade(
            name,
            (Stage(checkpoint.students["tiny"], bound), Stage(checkpoint.ta, 0.0)),
            guarantee,
        )
        for name, bound in ((KEPT, 0.999), (BROKEN, sure))
    }
    write_calibration(checkpoint, {}, cascades, KEPT)


def with_path(directory: Path, *thresholds: float) -> None:
    """Give the broken one a path: the TA alone, then these thresholds of `tiny`, then its own, each
    of which was seen to risk twice as much as the one before.
    """
    checkpoint = load_checkpoint(directory)
    cascade = checkpoint.cascades[BROKEN]
    own = cascade.stages[0].threshold
    steps = [PathVector((1.0, 0.0), 0.0, 1.0)]
    for power, threshold in enumerate((*thresholds, own)):
        steps.append(PathVector((threshold, 0.0), 0.01 * 2**power, 0.5))
    anew = replace(cascade, path=CascadePath(tuple(steps), len(steps) - 1))
    write_calibration(checkpoint, {}, {**checkpoint.cascades, BROKEN: anew}, KEPT)
