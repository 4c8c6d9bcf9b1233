"""Which runner answers a file, and how a process loads it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..checkpoint.manifest import Manifest, calibrated_for, read_manifest
from ..errors import NestlingError
from ..precision import Precision
from ..progress import Progress
from ..runners import RunnerName
from ..runners.base import ModelRunner


def chosen(name: RunnerName, path: Path, policy: str) -> tuple[RunnerName, str, Manifest]:
    """The runner of a name, of `auto` the fastest that holds what the checkpoint promises; why; and
    the manifest with the calibration of its precision.

    Raises NestlingError for a policy that is not there, CheckpointError for a checkpoint that must
    not be served.
    """
    manifest = read_manifest(path)
    why = "asked for"
    if name == "auto":
        name, why = _fastest(manifest, policy)
    precision: Precision = "int8" if name == "onnx-int8" else "float32"
    served = calibrated_for(manifest, precision)
    served.policy(policy)
    return name, why, served


def _fastest(manifest: Manifest, policy: str) -> tuple[RunnerName, str]:
    if find_spec("onnxruntime") is None:
        return "torch", "ONNX Runtime is not installed"
    own = calibrated_for(manifest, "int8")
    if own.cascades and policy in ("auto", *own.cascades, *own.students):
        return "onnx-int8", "the checkpoint is calibrated for it"
    if own.cascades:
        return "onnx", f"{policy!r} is not calibrated for int8"
    return "onnx", "the checkpoint is not calibrated for int8"


def load(name: RunnerName, path: Path, progress: Progress) -> ModelRunner:
    """A runner that computes in this process, by one thread. Raises NestlingError as above."""
    progress.step("loading the checkpoint")
    from ..checkpoint.load import load_checkpoint
    from ..runners.choose import RunnerOptions, choose

    try:
        return choose(name, load_checkpoint(path), RunnerOptions(threads=1), progress).runner
    except MemoryError as error:
        raise NestlingError(f"{path}: there is no memory for it: {error}") from error
