"""A checkpoint and the backend by which a command runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import NestlingError
from ..models.progress import SILENT, Progress

if TYPE_CHECKING:
    from ..models.batch import Run
    from ..models.checkpoint import Checkpoint
    from ..models.manifest import Manifest

FLOAT32 = "torch"
"""Whose logits are also those of `onnx`, within the gate's margin."""


def load_for(path: Path, runner: str, progress: Progress = SILENT) -> tuple[Checkpoint, Run]:
    """The checkpoint with the calibration of a runner, and the runner.

    Raises NestlingError for a runner that has no calibration, or is not installed.
    """
    import torch

    from ..models.checkpoint import load_checkpoint
    from ..models.manifest import INT8, calibrated_for
    from .engine.runners.onnx_runner import OnnxRunner

    _check(runner)
    loaded = calibrated_for(load_checkpoint(path), runner)
    if runner == INT8:
        return loaded, OnnxRunner(
            loaded, "int8", threads=torch.get_num_threads(), progress=progress
        )
    return loaded, loaded.model


def read_for(path: Path, runner: str) -> Manifest:
    """The same without the weights, for what needs only students, cascades and their calibration.

    Raises NestlingError for a runner that has no calibration.
    """
    from ..models.manifest import calibrated_for, read_manifest

    _check(runner)
    return calibrated_for(read_manifest(path), runner)


def _check(runner: str) -> None:
    from ..models.manifest import INT8

    if runner not in (FLOAT32, INT8):
        raise NestlingError(f"runner: {runner!r} is none of {FLOAT32}, {INT8}")
