"""Which runner serves a checkpoint, and in which precision: what was asked for, or a rule."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from ..checkpoint.manifest import CALIBRATION, Manifest, calibrated_for
from ..device import CPU, use
from ..errors import NestlingError, missing_extra
from ..precision import INT8, TORCH, Precision, file_of
from ..progress import SILENT, Progress
from .rule import ONNX, by_rule

if TYPE_CHECKING:
    from .base import ModelRunner

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunnerOptions:
    """device, dtype: for torch, as `device.use` and `dtype_for` take them. providers: ONNX
    Runtime's execution providers, the preferred first. threads: of one operation; None leaves
    torch its own, and is one for ONNX Runtime.
    """

    device: str = CPU
    dtype: str = "auto"
    providers: Sequence[str] = ("CPUExecutionProvider",)
    threads: int | None = None


@dataclass(frozen=True)
class RunnerChoice:
    """runner: with the manifest that it may serve. name: its own, never `auto`."""

    runner: ModelRunner
    name: str


def choose(
    name: str,
    manifest: Manifest,
    options: RunnerOptions | None = None,
    progress: Progress = SILENT,
) -> RunnerChoice:
    """The runner of a name in `RUNNERS`, or for `auto` the one of the rule, which is logged.

    Raises NestlingError for an unknown name, and for one that needs what is not installed;
    CheckpointError if the weights or the calibration for the precision are damaged.
    """
    options = options or RunnerOptions()
    why = None
    if name == "auto":
        options = replace(options, device=use(options.device))
        name, why = by_rule(manifest, options.device, options.dtype)
    if name not in RUNNERS:
        raise NestlingError(f"runner: {name!r} is none of auto, {', '.join(RUNNERS)}")
    runner = RUNNERS[name](manifest, options, progress)
    if why is not None:
        log.info("runner: %s (%s)", name, why)
    return RunnerChoice(runner, name)


def dtype_for(wanted: str, device: str, path: Path) -> Precision:
    """What torch computes in.

    wanted: a dtype's name, or `auto`: bfloat16 on a GPU if the checkpoint in `path` is calibrated
    for it, else float32. device: by its whole name.
    """
    if wanted == "auto":
        calibrated = (path / file_of(CALIBRATION, "bfloat16")).exists()
        return "bfloat16" if calibrated and device != CPU else "float32"
    return cast(Precision, wanted)


def _torch(manifest: Manifest, options: RunnerOptions, progress: Progress) -> ModelRunner:
    if not find_spec("torch"):
        raise NestlingError(f"runner: {missing_extra('torch', 'the runner torch', 'torch')}")
    import torch

    from ..checkpoint.load import load_weights
    from .torch import TorchRunner

    if options.threads:
        torch.set_num_threads(options.threads)
    device = use(options.device)
    precision = dtype_for(options.dtype, device, manifest.path)
    progress.step("loading the weights")
    try:
        loaded = load_weights(manifest, getattr(torch, precision), device)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise NestlingError(
            f"device: {device} has no memory for {manifest.path}: {error}"
        ) from error
    return TorchRunner(_calibrated(loaded, precision))


def _onnx(manifest: Manifest, options: RunnerOptions, progress: Progress) -> ModelRunner:
    return _graphs(manifest, "float32", options, progress)


def _int8(manifest: Manifest, options: RunnerOptions, progress: Progress) -> ModelRunner:
    return _graphs(_calibrated(manifest, "int8"), "int8", options, progress)


RUNNERS: dict[str, Callable[[Manifest, RunnerOptions, Progress], ModelRunner]] = {
    TORCH: _torch,
    ONNX: _onnx,
    INT8: _int8,
}


def _graphs(
    manifest: Manifest, precision: Precision, options: RunnerOptions, progress: Progress
) -> ModelRunner:
    from .onnx.runner import OnnxRunner

    return OnnxRunner(manifest, precision, options.providers, options.threads or 1, progress)


_Served = TypeVar("_Served", bound=Manifest)


def _calibrated(served: _Served, precision: Precision) -> _Served:
    """With the calibration of a precision; without one, students alone."""
    own = calibrated_for(served, precision)
    if served.cascades and not own.cascades:
        log.warning(
            "precision: in %s students are served alone, and `auto` is the TA: the thresholds of "
            "%s were calibrated on float32 logits; `nestling calibrate %s --data FILE --precision "
            "%s` makes cascades for it",
            precision,
            ", ".join(served.cascades),
            served.path,
            precision,
        )
    return own
