"""Which runner answers a file, and how a process loads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..checkpoint.manifest import Manifest, calibrated_for, read_manifest
from ..device import use
from ..precision import INT8
from ..progress import Progress
from ..runners import RunnerName
from ..runners.base import ModelRunner
from ..runners.choose import RunnerOptions, choose, dtype_for
from ..runners.rule import by_rule


@dataclass(frozen=True)
class OfflineRunner:
    """name: never `auto`. why: it is that one. device: by its whole name. manifest: with the
    calibration of its precision.
    """

    name: str
    why: str
    device: str
    manifest: Manifest


def chosen(name: RunnerName, path: Path, policy: str) -> OfflineRunner:
    """The runner of a name, of `auto` the server's: the fastest that keeps what is promised.

    Raises NestlingError for a policy that is not there, CheckpointError for a checkpoint that must
    not be served.
    """
    manifest, device, found, why = read_manifest(path), use("auto"), str(name), "asked for"
    if found == "auto":
        found, why = by_rule(manifest, device, "auto")
    if found == "torch":
        served = calibrated_for(manifest, dtype_for("auto", device, path))
    else:
        device, served = "cpu", calibrated_for(manifest, "int8" if found == INT8 else "float32")
    served.policy(policy)
    return OfflineRunner(found, why, device, served)


def load(name: str, device: str, path: Path, progress: Progress) -> ModelRunner:
    """A runner that computes in this process, on a CPU by one thread.

    Raises NestlingError for what cannot be loaded.
    """
    progress.step("loading the checkpoint")
    return choose(name, read_manifest(path), RunnerOptions(device, threads=1), progress).runner
