"""From a checkpoint and settings to what answers requests; every front end starts here.

What loads much is imported by the functions, since the command line imports this module early.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..models.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from prometheus_client import CollectorRegistry
    from sqlalchemy import Engine
    from torch import Tensor

    from ..experiments.runtime import Experiments
    from ..models.checkpoint.load import Checkpoint
    from ..models.checkpoint.manifest import Manifest
    from ..models.inputs.text import Text
    from ..models.precision import Precision
    from ..models.runners import RunnerName
    from ..models.runners.base import ModelRunner
    from .core.guarantee_watch import GuaranteeWatch
    from .core.inference import Inference
    from .core.reload import Load, Reloader
    from .core.service import Service
    from .engine.executor import Executor
    from .engine.worker.client import WorkerClient
    from .engine.worker.process import WorkerProcess
    from .settings import Settings
    from .telemetry.guarantee import GuaranteeMetrics

log = logging.getLogger(__name__)


def build(
    path: Path,
    settings: Settings,
    progress: Progress = SILENT,
    launched: WorkerProcess | None = None,
) -> tuple[Inference, WorkerClient]:
    """What answers by the checkpoint in a directory, not yet started, and the worker it began with.

    launched: a worker's process that waits for its first message; None starts one. Raises
    NestlingError for a checkpoint, or a file that the settings name, that cannot be used.
    """
    from .engine.worker.client import WorkerClient
    from .telemetry.progress import Logged

    worker = WorkerClient(path, settings, launched)
    worker.ready(progress)

    def load(another: Path | None, runner: RunnerName | None) -> WorkerClient:
        by = settings if runner is None else settings.pinning(runner)
        fresh = WorkerClient(another or path, by)
        fresh.ready(Logged("loading: "))
        return fresh

    database = open_record(settings, worker.manifest, worker.precision)
    return assemble(worker, settings, load, database), worker


def assemble(
    executor: Executor,
    settings: Settings,
    load: Load,
    database: Engine | None = None,
    watching: Callable[[GuaranteeMetrics], GuaranteeWatch] | None = None,
) -> Inference:
    """The same, by an executor that is there already.

    load: another executor, of the checkpoint at a path, or again of that given at start; by another
    runner, or the same. database: of the experiments, open; None keeps no record. watching: over
    the promises, for one of many processes, which do not judge for themselves.
    """
    from .core.guarantee_watch import GuaranteeWatch
    from .core.inference import Inference
    from .core.reload import Reloader
    from .core.service import Service
    from .telemetry.metrics import Metrics
    from .telemetry.processes import ProcessMetrics

    metrics = Metrics(executor.manifest.students, settings.price_per_hour)
    ProcessMetrics(metrics.registry)
    alone = watching is None
    watch = (
        GuaranteeWatch(metrics.guarantee, settings.on_violation)
        if watching is None
        else watching(metrics.guarantee)
    )
    experiments: Experiments | None = None

    def serve(executor: Executor) -> Service:
        return Service(executor, settings, metrics, watch)

    def accept(executor: Executor) -> None:
        if experiments:
            experiments.accept(executor.manifest, executor.precision)

    services = Reloader(load, serve, serve(executor), accept)
    if database is not None:
        experiments = recorded(database, services, metrics.registry, settings, judges=alone)
    return Inference(services, experiments)


def recorded(
    database: Engine,
    services: Reloader,
    registry: CollectorRegistry,
    settings: Settings,
    judges: bool = True,
) -> Experiments:
    """The experiments of a record that is open; without one nothing of a database is loaded.

    judges: whether guardrails are looked at, and old records deleted, by this process.
    """
    from ..experiments.runtime import Experiments, known_of
    from .telemetry.experiments import ExperimentMetrics

    return Experiments(
        database,
        lambda: known_of(services.service.manifest, services.service.precision),
        services.pin,
        ExperimentMetrics(registry),
        timedelta(days=settings.keep_days) if settings.keep_days else None,
        judges=judges,
    )


def open_record(settings: Settings, manifest: Manifest, precision: Precision) -> Engine | None:
    """The database of experiments, where the file's declaration holds; None if none is kept."""
    if settings.database is None:
        return None
    from ..experiments.apply import declare
    from ..experiments.loader import read
    from ..experiments.runtime import known_of
    from ..experiments.store.database import open_database

    engine = open_database(settings.database)
    if settings.experiments:
        declared, now = read(settings.experiments), datetime.now(UTC)
        _, steps = declare(engine, declared, known_of(manifest, precision), now)
        for step in steps:
            log.info("experiment %s: %s", step.name, "; ".join(step.words))
    return engine


def load_for(
    path: Path,
    precision: Precision,
    progress: Progress = SILENT,
    dtype: torch.dtype | None = None,
) -> tuple[Checkpoint, ModelRunner]:
    """The checkpoint with the calibration of a precision, and a runner that computes in it.

    dtype: of the numbers that it computes with; None is that of the precision.

    bfloat16 and float16 by the first GPU; where there is none they are emulated on the CPU, which
    `progress` is told. Raises NestlingError for a runner that is not installed, CheckpointError for
    a checkpoint or a calibration that cannot be used.
    """
    import torch

    from ..kernels.emulated import EMULATED
    from ..models.checkpoint.load import load_checkpoint
    from ..models.checkpoint.manifest import calibrated_for
    from ..models.device import CPU, use
    from ..models.precision import logits_in
    from ..models.runners.onnx.runner import OnnxRunner
    from ..models.runners.torch import TorchRunner

    device, operations = CPU, None
    if precision in ("bfloat16", "float16"):
        device = use("auto")
        if device == CPU:
            operations = EMULATED
            progress.note(
                f"{precision} is emulated on the CPU, since there is no GPU: answers are those of "
                "one but for the order of sums, times are not"
            )
    dtype = dtype or logits_in(precision)
    loaded = calibrated_for(load_checkpoint(path, dtype, device, operations), precision)
    if precision == "int8":
        threads = torch.get_num_threads()
        return loaded, OnnxRunner(loaded, "int8", threads=threads, progress=progress)
    return loaded, TorchRunner(loaded)


def kept_answers(
    loaded: Checkpoint,
    precision: Precision,
    texts: Sequence[Text],
    source: str | Path,
    progress: Progress = SILENT,
) -> Tensor | None:
    """What the TA answers in float32, which is promised to be kept: (texts,) int64.

    loaded: as it computes in a precision. None where that is float32 itself. Computed on the CPU.
    """
    import torch

    from ..models.checkpoint.load import load_checkpoint
    from ..models.evaluation.predictions import answers_of_ta

    if precision == "float32":
        return None
    exact = loaded if precision == "int8" else load_checkpoint(loaded.path, torch.float32)
    return answers_of_ta(exact, texts, source, progress)


def read_for(path: Path, precision: Precision) -> Manifest:
    """The same without the weights, for what needs students, cascades and calibration alone."""
    from ..models.checkpoint.manifest import calibrated_for, read_manifest

    return calibrated_for(read_manifest(path), precision)
