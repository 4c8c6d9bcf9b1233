"""Which runner serves a checkpoint: the one that was asked for, or the fastest that agrees."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from ...kernels import operations_for
from ...kernels.gate.reference import MARGINS
from ...server.settings import Settings
from ..cascade.policy import Cascade
from ..checkpoint.load import Checkpoint
from ..checkpoint.manifest import INT8, calibrated_for
from ..errors import NestlingError
from ..nested.batch import PackedBatch
from ..progress import SILENT, Progress
from .onnx.runner import OnnxRunner
from .runner import Runner
from .torch_runner import TorchRunner

log = logging.getLogger(__name__)
LENGTHS = (5, 7, 8, 9, 10, 11, 14, 21)
"""Tokens of the texts that runners are compared on: short ones, such as people type."""
REPEATS = 9


@dataclass(frozen=True)
class RunnerChoice:
    """run: the backend; None is torch, which every checkpoint that is loaded later has of its own.
    name, why: what the log says of it. checkpoint: what it may serve.
    """

    run: Runner | None
    name: str
    why: str
    checkpoint: Checkpoint


def choose(checkpoint: Checkpoint, settings: Settings, progress: Progress = SILENT) -> RunnerChoice:
    """The runner of a setting; what was not obvious is logged.

    `auto`: torch, or ONNX Runtime in float32 if that is faster on a short batch and agrees with
    torch; never int8. `onnx-int8`: with its own calibration; without one, students alone.
    Raises NestlingError if ONNX Runtime is asked for and not installed, CheckpointError if the
    calibration for int8 is damaged.
    """
    if settings.runner == "torch":
        return RunnerChoice(None, "torch", "asked for", checkpoint)
    if settings.runner == "auto":
        choice = _fastest(checkpoint, settings, progress)
        log.info("runner: %s (%s)", choice.name, choice.why)
        return choice
    if settings.runner == "onnx":
        return RunnerChoice(_onnx(checkpoint, settings, progress), "onnx", "asked for", checkpoint)
    own = calibrated_for(checkpoint, INT8)
    if checkpoint.cascades and not own.cascades:
        log.warning(
            "runner: %s serves students alone, and `auto` is the TA: the thresholds of %s were "
            "calibrated on float32 logits; `nestling calibrate %s --data FILE --runner %s` makes "
            "cascades for it",
            INT8,
            ", ".join(checkpoint.cascades),
            checkpoint.path,
            INT8,
        )
    return RunnerChoice(_onnx(own, settings, progress, "int8"), INT8, "asked for", own)


def _onnx(
    checkpoint: Checkpoint, settings: Settings, progress: Progress, precision: str = "float32"
) -> OnnxRunner:
    return OnnxRunner(checkpoint, precision, settings.providers, settings.cpu_threads, progress)


def _fastest(checkpoint: Checkpoint, settings: Settings, progress: Progress) -> RunnerChoice:
    def stay(why: str) -> RunnerChoice:
        return RunnerChoice(None, "torch", why, checkpoint)

    table = checkpoint.model.tokens
    if (table.dtype, table.device.type) != (torch.float32, "cpu"):
        return stay("ONNX Runtime is compared with float32 on the CPU alone")
    torch_runner = TorchRunner(checkpoint)
    try:
        onnx = _onnx(checkpoint, settings, progress)
    except NestlingError as error:
        return stay(str(error))
    progress.step("comparing ONNX Runtime with torch")
    if not agree(torch_runner, onnx, checkpoint):
        return stay("ONNX Runtime's answers differ from torch's")
    seconds = measure({"torch": torch_runner, "onnx": onnx}, checkpoint, checkpoint.policy())
    ratio = seconds["onnx"] / seconds["torch"]
    why = f"onnx takes {ratio:.2f} times as long as torch on a short batch"
    return RunnerChoice(onnx, "onnx", why, checkpoint) if ratio < 1 else stay(why)


@torch.inference_mode()
def agree(reference: Runner, other: Runner, checkpoint: Checkpoint) -> bool:
    """Whether all students give the same labels, and confidences within the gate's margin."""
    students = list(checkpoint.students.values())
    texts = probe(checkpoint)
    batch = PackedBatch.mixed([(texts, student.spec) for student in students])
    temperatures = torch.tensor([s.temperature for s in students for _ in texts])
    gate = operations_for(torch.device("cpu")).gate
    ours, theirs = (
        gate(run(batch).float().cpu(), temperatures, torch.zeros_like(temperatures))
        for run in (reference, other)
    )
    apart = (ours.confidence - theirs.confidence).abs().max().item()
    return torch.equal(ours.label, theirs.label) and apart <= MARGINS[torch.float32]


@torch.inference_mode()
def measure(
    runners: Mapping[str, Runner], checkpoint: Checkpoint, policy: Cascade
) -> dict[str, float]:
    """Seconds that each runner takes for a short batch by a policy, as its forecast has it reach
    its stages; medians, all runners side by side.
    """
    taken = dict.fromkeys(runners, 0.0)
    for reached, stage in zip(_reached(policy), policy.stages, strict=True):
        repeats: dict[str, list[float]] = {name: [] for name in runners}
        for repeat in range(REPEATS + 1):
            for name, run in runners.items():
                batch = PackedBatch.of(probe(checkpoint), stage.student.spec)
                started = time.perf_counter()
                run(batch)
                if repeat:  # the first warms up
                    repeats[name].append(time.perf_counter() - started)
        for name, seconds in repeats.items():
            taken[name] += reached * statistics.median(seconds)
    return taken


def _reached(policy: Cascade) -> Sequence[float]:
    """The share of texts that reaches each stage; all of them where nobody has measured it."""
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
