"""Which runner serves a checkpoint, and in which precision: what was asked for, or a rule."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch

from ...kernels.gate.reference import MARGINS
from ..cascade.policy import Cascade, Stage
from ..checkpoint.load import Checkpoint
from ..checkpoint.manifest import CALIBRATION, calibrated_for
from ..errors import NestlingError
from ..precision import INT8, Precision, file_of, name_of
from ..progress import SILENT, Progress
from .base import ForwardBatch, ModelRunner
from .onnx.runner import CPU, OnnxRunner
from .torch import TorchRunner

log = logging.getLogger(__name__)
LENGTHS = (5, 7, 8, 9, 10, 11, 14, 21)
"""Tokens of the texts that runners are compared on: short ones, such as people type."""
REPEATS = 9


@dataclass(frozen=True)
class RunnerOptions:
    """providers: ONNX Runtime's execution providers, the preferred first. threads: of one of its
    operations; torch has its own for the whole process.
    """

    providers: Sequence[str] = (CPU,)
    threads: int = 1


@dataclass(frozen=True)
class RunnerChoice:
    """runner: with the manifest that it may serve. name, why: what the log says of it."""

    runner: ModelRunner
    name: str
    why: str


def choose(
    name: str,
    checkpoint: Checkpoint,
    options: RunnerOptions | None = None,
    progress: Progress = SILENT,
) -> RunnerChoice:
    """The runner of a name in `RUNNERS`; what was not obvious is logged.

    Raises NestlingError for an unknown name, and if ONNX Runtime is asked for and not installed;
    CheckpointError if the calibration for the precision is damaged.
    """
    if name not in RUNNERS:
        raise NestlingError(f"runner: {name!r} is none of {', '.join(RUNNERS)}")
    return RUNNERS[name](checkpoint, options or RunnerOptions(), progress)


def dtype_for(wanted: str, runner: str, device: str, path: Path) -> torch.dtype:
    """What the weights of a checkpoint are loaded in.

    wanted: a dtype's name, or `auto`: bfloat16 on a GPU if the checkpoint in `path` is calibrated
    for it, else float32, which the ONNX runners take in any case. device: by its whole name.
    """
    if wanted == "auto":
        calibrated = (path / file_of(CALIBRATION, "bfloat16")).exists()
        half = calibrated and device != "cpu" and not runner.startswith("onnx")
        wanted = "bfloat16" if half else "float32"
    dtype: torch.dtype = getattr(torch, wanted)
    return dtype


def _calibrated(checkpoint: Checkpoint, precision: Precision) -> Checkpoint:
    """With the calibration of a precision; without one, students alone."""
    own = calibrated_for(checkpoint, precision)
    if checkpoint.cascades and not own.cascades:
        log.warning(
            "precision: in %s students are served alone, and `auto` is the TA: the thresholds of "
            "%s were calibrated on float32 logits; `nestling calibrate %s --data FILE --precision "
            "%s` makes cascades for it",
            precision,
            ", ".join(checkpoint.cascades),
            checkpoint.path,
            precision,
        )
    return own


def _torch(checkpoint: Checkpoint, options: RunnerOptions, progress: Progress) -> RunnerChoice:
    own = _calibrated(checkpoint, name_of(checkpoint.model.dtype))
    return RunnerChoice(TorchRunner(own), "torch", "asked for")


def _onnx(checkpoint: Checkpoint, options: RunnerOptions, progress: Progress) -> RunnerChoice:
    return RunnerChoice(_float32(checkpoint, options, progress), "onnx", "asked for")


def _int8(checkpoint: Checkpoint, options: RunnerOptions, progress: Progress) -> RunnerChoice:
    own = _calibrated(checkpoint, "int8")
    runner = OnnxRunner(own, "int8", options.providers, options.threads, progress)
    return RunnerChoice(runner, INT8, "asked for")


def _auto(checkpoint: Checkpoint, options: RunnerOptions, progress: Progress) -> RunnerChoice:
    """Torch, or ONNX Runtime in float32 if that is faster on a short batch and agrees with torch;
    never int8.
    """
    choice = _fastest(checkpoint, options, progress)
    log.info("runner: %s (%s)", choice.name, choice.why)
    return choice


RUNNERS: dict[str, Callable[[Checkpoint, RunnerOptions, Progress], RunnerChoice]] = {
    "auto": _auto,
    "torch": _torch,
    "onnx": _onnx,
    INT8: _int8,
}


def _float32(checkpoint: Checkpoint, options: RunnerOptions, progress: Progress) -> OnnxRunner:
    return OnnxRunner(checkpoint, "float32", options.providers, options.threads, progress)


def _fastest(checkpoint: Checkpoint, options: RunnerOptions, progress: Progress) -> RunnerChoice:
    reference = _torch(checkpoint, options, progress).runner

    def stay(why: str) -> RunnerChoice:
        return RunnerChoice(reference, "torch", why)

    model = checkpoint.model
    if (model.dtype, model.device.type) != (torch.float32, "cpu"):
        return stay("ONNX Runtime is compared with float32 on the CPU alone")
    try:
        onnx = _float32(checkpoint, options, progress)
    except NestlingError as error:
        return stay(str(error))
    progress.step("comparing ONNX Runtime with torch")
    if not agree(reference, onnx, checkpoint):
        return stay("ONNX Runtime's answers differ from torch's")
    seconds = measure({"torch": reference, "onnx": onnx}, checkpoint, checkpoint.policy())
    ratio = seconds["onnx"] / seconds["torch"]
    why = f"onnx takes {ratio:.2f} times as long as torch on a short batch"
    return RunnerChoice(onnx, "onnx", why) if ratio < 1 else stay(why)


def agree(reference: ModelRunner, other: ModelRunner, checkpoint: Checkpoint) -> bool:
    """Whether all students give the same labels, and confidences within the gate's margin."""
    for student in checkpoint.students.values():
        batch = ForwardBatch.of(probe(checkpoint), Stage(student, 0.0))
        ours, theirs = reference.forward(batch), other.forward(batch)
        apart = np.abs(np.subtract(ours.confidences, theirs.confidences)).max()
        if (ours.labels != theirs.labels).any() or not apart <= MARGINS[torch.float32]:
            return False
    return True


def measure(
    runners: Mapping[str, ModelRunner], checkpoint: Checkpoint, policy: Cascade
) -> dict[str, float]:
    """Seconds that each runner takes for a short batch by a policy, as its forecast has it reach
    its stages; medians, all runners side by side.
    """
    taken = dict.fromkeys(runners, 0.0)
    for reached, stage in zip(_reached(policy), policy.stages, strict=True):
        repeats: dict[str, list[float]] = {name: [] for name in runners}
        batch = ForwardBatch.of(probe(checkpoint), stage)
        for repeat in range(REPEATS + 1):
            for name, runner in runners.items():
                started = time.perf_counter()
                runner.forward(batch)
                if repeat:  # the first warms up
                    repeats[name].append(time.perf_counter() - started)
        for name, seconds in repeats.items():
            taken[name] += reached * statistics.median(seconds)
    return taken


def _reached(policy: Cascade) -> Sequence[float]:
    """The share of texts that reaches each stage; all of them where it has not been measured."""
    if policy.forecast is None:
        return [1.0] * len(policy.stages)
    answered = accumulate(policy.forecast.shares, initial=0.0)
    return [1.0 - share for share, _ in zip(answered, policy.stages, strict=False)]


def probe(checkpoint: Checkpoint) -> list[list[int]]:
    """Token ids of texts that are always the same."""
    generator = torch.Generator().manual_seed(0)
    a = checkpoint.architecture
    return [
        torch.randint(a.vocabulary, (min(n, a.max_tokens),), generator=generator).tolist()
        for n in LENGTHS
    ]
