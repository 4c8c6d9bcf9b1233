"""From a checkpoint and texts to the profile of the machine at hand."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from ...loadtest.results.environment import environment
from ...loadtest.texts import Texts, read_texts
from ...models.cascade.policy import Stage
from ...models.cascade.score import Score
from ...models.checkpoint.manifest import Manifest
from ...models.precision import INT8, TORCH, Precision, chosen, margin_of
from ...models.progress import SILENT, Progress
from ...models.runners import RunnerName
from ...server.build import load_for, read_for
from ...server.core.load_control import TICK_SECONDS
from ..errors import PlanError
from ..profile.profile import SCHEMA, Profile
from ..profile.workload import StudentConfidences, Workload
from .fit import fit
from .loads import Loads
from .server import MeasuredServer

IDLE_SECONDS = 2.0
"""For which a server is watched that has nothing to do."""
PACKAGES = ("nestling", "torch", "numpy", "uvicorn", "uvloop")
"""Whose versions a profile tells."""
TEXTS = 1000
"""Texts of the data that stand for the traffic."""
DIGITS = 6
"""Of a score."""


def measure(
    checkpoint: Path,
    data: Path,
    name: str,
    runner: str | None,
    precision: str | None,
    device: str,
    rounds: int,
    seed: int,
    progress: Progress = SILENT,
) -> Profile:
    """Start a real server, load it in many ways, and fit costs to what it spent; then time students
    without one, also such as the checkpoint does not have.

    data: JSON Lines of `text` and `label`, and of `text_pair` where the checkpoint is asked about
    pairs. runner: `torch` or `onnx-int8`. precision: None is that
    of the runner, or of a server on the device. Raises NestlingError or LoadtestError for what the
    user can fix.
    """
    from ...models.device import use
    from ...models.latency.timing import drawn, time_students, with_drawn
    from ...models.runners.choose import RunnerOptions, choose, dtype_for

    computed_in = chosen(runner, precision)
    there = use(device)  # a wrong name is refused before anything is computed
    if runner != INT8 and precision is None:
        computed_in = dtype_for("auto", there, checkpoint)
    by: RunnerName = INT8 if computed_in == "int8" else TORCH
    manifest, texts = read_for(checkpoint, computed_in), read_texts(data)
    check_kind(manifest, texts, data)
    workload = workload_of(checkpoint, manifest, computed_in, texts, seed, progress)
    progress.step("starting a server")
    words = ["--runner", by, "--device", device]
    if by == TORCH:
        words += ["--dtype", computed_in]
    with MeasuredServer(checkpoint, *words, "--target-delay-ms", "0") as server:
        progress.note(f"measuring {server.url}")
        tick = tick_of(server)
        lengths = [len(ids) for ids in manifest.tokenizer.encode(list(texts.texts))]
        loads = Loads(server, texts, seed)
        observed = list(loads.all(list(manifest.students), rounds, progress))
        threads = max(1, len(server.worker_cores))
    options = RunnerOptions(device, computed_in, threads=threads)
    everyone = with_drawn(manifest, drawn(manifest.architecture))
    alone = choose(by, everyone, options, progress).runner
    timings = time_students(alone, workload.lengths, threads, progress)
    progress.step("fitting costs")
    costs, table = fit(observed, lengths, tick, TICK_SECONDS)
    here = environment(PACKAGES)
    return Profile(
        schema=SCHEMA,
        measured=True,
        name=name,
        date=here["date"],
        command=(
            f"nestling plan measure {manifest.path.name} --data {data.name} "
            f"--precision {computed_in} --device {device} --rounds {rounds}"
        ),
        hardware=here["hardware"],
        versions=here["versions"],
        device=device,
        runner=by,
        precision=computed_in,
        threads=threads,
        checkpoint=manifest.path.name,
        weights_sha256=manifest.weights_sha256,
        costs=costs,
        fit=table,
        workload=workload,
        timings=tuple(timings),
    )


def check_kind(manifest: Manifest, texts: Texts, data: Path) -> None:
    """Raises PlanError unless the file has what the checkpoint is asked about: texts, or pairs."""
    of_pairs = manifest.architecture.head().inputs == "pair"
    if of_pairs and not texts.pairs:
        raise PlanError(
            f"{data}: has no `text_pair`, and {manifest.path.name} is asked about pairs of texts"
        )
    if texts.pairs and not of_pairs:
        raise PlanError(
            f"{data}: has pairs of texts, and {manifest.path.name} is asked about one at a time; "
            "remove `text_pair`"
        )


def tick_of(server: MeasuredServer) -> float:
    """CPU seconds that its event loop takes each time that it looks at its load."""
    before = server.cpu()
    time.sleep(IDLE_SECONDS)
    return server.cpu().since(before).loop * TICK_SECONDS / IDLE_SECONDS


def workload_of(
    checkpoint: Path,
    manifest: Manifest,
    precision: Precision,
    texts: Texts,
    seed: int,
    progress: Progress = SILENT,
) -> Workload:
    """How sure all students are of some of the texts, by every temperature and score in use."""
    from ...models.evaluation.predictions import predict_all  # which loads torch

    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(texts))[:TEXTS]).tolist()
    progress.step("loading the checkpoint")
    loaded, by = load_for(checkpoint, precision, progress)
    sample = [texts.texts[row] for row in rows]
    predictions = predict_all(loaded, sample, texts.name, by, progress)
    stages = [stage for cascade in manifest.cascades.values() for stage in cascade.stages]
    alone = [Stage(student, 0.0) for student in manifest.students.values()]
    asked = {(s.student.name, s.student.temperature, s.score) for s in (*stages, *alone)}
    scoped = [s for s in stages if s.scope > 0]
    asked |= {(s.student.name, s.student.temperature, Score.ENERGY) for s in scoped}
    stated = [
        StudentConfidences(
            name,
            temperature,
            tuple(round(s, DIGITS) for s in predictions.scores(name, temperature, score).tolist()),
            score,
        )
        for name, temperature, score in sorted(asked)
    ]
    return Workload(
        data=texts.name,
        sha256=texts.sha256,
        margin=margin_of(precision),
        lengths=tuple(map(len, predictions.sequences)),
        stated=tuple(stated),
    )
