"""A checkpoint and the runner by which a command runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..models.errors import NestlingError
from ..models.progress import SILENT, Progress

if TYPE_CHECKING:
    from ..models.checkpoint.load import Checkpoint
    from ..models.checkpoint.manifest import Manifest
    from ..models.runners.base import ModelRunner

FLOAT32 = "torch"
"""Whose logits are also those of `onnx`, within the gate's margin."""


def load_for(
    path: Path, runner: str, progress: Progress = SILENT
) -> tuple[Checkpoint, ModelRunner]:
    """The checkpoint with the calibration of a runner, and the runner.

    Raises NestlingError for a runner that has no calibration, or is not installed.
    """
    import torch

    from ..models.checkpoint.load import load_checkpoint
    from ..models.checkpoint.manifest import INT8, calibrated_for
    from ..models.runners.onnx.runner import OnnxRunner
    from ..models.runners.torch import TorchRunner

    _check(runner)
    loaded = calibrated_for(load_checkpoint(path), runner)
    if runner == INT8:
        return loaded, OnnxRunner(
            loaded, "int8", threads=torch.get_num_threads(), progress=progress
        )
    return loaded, TorchRunner(loaded)


def read_for(path: Path, runner: str) -> Manifest:
    """The same without the weights, for what needs only students, cascades and their calibration.

    Raises NestlingError for a runner that has no calibration.
    """
    from ..models.checkpoint.manifest import calibrated_for, read_manifest

    _check(runner)
    return calibrated_for(read_manifest(path), runner)


def _check(runner: str) -> None:
    from ..models.checkpoint.manifest import INT8

    if runner not in (FLOAT32, INT8):
        raise NestlingError(f"runner: {runner!r} is none of {FLOAT32}, {INT8}")
