"""A file of texts answered, or a stream of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, cast, get_args

from ..checkpoint.manifest import Manifest
from ..cores import cores
from ..device import CPU
from ..errors import NestlingError
from ..inputs.data.text_columns import TEXT, TextColumns
from ..progress import SILENT, Progress
from ..runners import RunnerName
from .answers import TextLimits
from .formats import comma_separated, json_lines, parquet
from .loading import OfflineRunner, chosen
from .output import PartialFile
from .pool import answered
from .source import CheckedSource, blocks_of, check, refuse_changed, standing
from .table import Tally, answer_columns, kept_names
from .work import AnsweredBlock, OfflineJob, OutputFormat


@dataclass(frozen=True)
class OfflineRequest:
    """What is asked of every text of a file, and by how many processes; None is one per core.

    policy: `auto`, a cascade's or a student's name. columns: that hold the texts; the checkpoint
    says whether they are pairs. truncate: answer a too long text by its beginning.
    """

    checkpoint: Path
    policy: str = "auto"
    columns: TextColumns = TEXT
    limits: TextLimits = TextLimits()  # noqa: RUF009  # frozen
    truncate: bool = False
    runner: RunnerName = "auto"
    processes: int | None = None

    def columns_for(self, manifest: Manifest, source: str) -> TextColumns:
        """Those that hold what this checkpoint is asked about.

        Raises DataError that names the source if both texts of a pair were read from one column.
        """
        columns = replace(self.columns, pairs=manifest.architecture.head().inputs == "pair")
        columns.refuse_same(Path(source))
        return columns

    def processes_on(self, device: str) -> int:
        """One has a GPU for itself."""
        return 1 if device != CPU else self.processes or cores()


@dataclass(frozen=True)
class OfflineResult:
    """resumed: how many of the rows an earlier run had answered."""

    tally: Tally
    resumed: int
    runner: str


def classify_file(
    request: OfflineRequest,
    path: Path,
    out: Path | BinaryIO,
    progress: Progress = SILENT,
    source: str | None = None,
) -> OfflineResult:
    """Answer each row of a file, in order. A run that ended early is gone on with.

    out: a file by its suffix, which must not exist; or a stream, which gets JSON Lines. source:
    what messages call the input. Raises DataError, NestlingError, CheckpointError that say what
    cannot be used, before any row is answered.
    """
    said = source or str(path)
    form = form_of(out) if isinstance(out, Path) else ".jsonl"
    runner = chosen(request.runner, request.checkpoint, request.policy)
    before = standing(path) if path.exists() else (0, 0, 0)
    columns = request.columns_for(runner.manifest, said)
    answered_columns = answer_columns(runner.manifest)
    checked = check(path, columns, answered_columns, form == ".parquet", progress, said)
    job = _job(request, runner, columns, said, form, checked)
    processes = min(request.processes_on(runner.device), checked.blocks)

    def answer(first: int, rows: int, add: Callable[[AnsweredBlock], None]) -> None:
        progress.note(f"answered by the runner {runner.name}: {runner.why}")
        meter = _Meter(progress, checked.rows - rows, "answering" if not rows else "going on")
        blocks = islice(blocks_of(path, columns.needed, said), first, None)
        with closing(answered(job, blocks, processes, progress)) as found:
            for block in found:
                block.refuse_fault()  # the file has changed since it was looked through
                add(block)
                meter.add(block)
        refuse_changed(path, before, said)

    if not isinstance(out, Path):
        written = _Stream(out)
        answer(0, 0, written.add)
        return OfflineResult(written.tally, 0, runner.name)
    head = b""
    if form == ".csv":
        head = comma_separated.head([*checked.kept.values(), *answered_columns])
    with PartialFile(out, _identity(request, runner, columns, checked), head) as file:
        if file.finished_before:
            return OfflineResult(file.done.tally, checked.rows, runner.name)
        resumed = file.done.tally.rows
        if resumed:
            progress.note(f"{file.partial}: {resumed:,} of {checked.rows:,} rows are there already")
        answer(file.done.blocks, resumed, file.add)
        file.finish(_finish(progress, checked.rows) if form == ".parquet" else None)
    return OfflineResult(file.done.tally, resumed, runner.name)


def classify_stream(
    request: OfflineRequest, source: int, out: BinaryIO, progress: Progress = SILENT
) -> OfflineResult:
    """Answer JSON Lines as they come, in order. source: a descriptor.

    Raises DataError that names the line which is no row; those before it are answered.
    """
    runner = chosen(request.runner, request.checkpoint, request.policy)
    said = "standard input"
    columns = request.columns_for(runner.manifest, said)
    names = answer_columns(runner.manifest)
    job = OfflineJob(
        request.checkpoint, runner.name, runner.device, request.policy, columns, said, ".jsonl",
        request.limits, request.truncate, kept_names(names, names, said),
    )  # fmt: skip
    progress.note(f"answered by the runner {runner.name}: {runner.why}")
    blocks = json_lines.blocks(lambda size: os.read(source, size), said)
    written, meter = _Stream(out), _Meter(progress, 0, "answering")
    processes = request.processes_on(runner.device)
    with closing(answered(job, blocks, processes, progress, source)) as found:
        for block in found:
            written.add(block)
            meter.add(block)
            block.refuse_fault()
    return OfflineResult(written.tally, 0, runner.name)


def form_of(out: Path) -> OutputFormat:
    """By the suffix. Raises NestlingError that lists those that can be written."""
    suffix = out.suffix.lower()
    if suffix not in get_args(OutputFormat):
        known = ", ".join(get_args(OutputFormat))
        raise NestlingError(f"--output: {out}: {suffix or 'no suffix'} is none of {known}")
    if suffix == ".parquet":
        parquet.require(out)
    return cast(OutputFormat, suffix)


def _job(
    request: OfflineRequest,
    runner: OfflineRunner,
    columns: TextColumns,
    source: str,
    form: OutputFormat,
    checked: CheckedSource,
) -> OfflineJob:
    job = OfflineJob(
        request.checkpoint, runner.name, runner.device, request.policy, columns, source, form,
        request.limits, request.truncate, checked.kept,
    )  # fmt: skip
    if checked.schema is None:
        return job
    schema = parquet.extended(checked.schema, checked.kept, answer_columns(runner.manifest))
    return replace(job, own=checked.schema, schema=schema)


def _identity(
    request: OfflineRequest, runner: OfflineRunner, columns: TextColumns, checked: CheckedSource
) -> dict[str, Any]:
    """By what messages call it."""
    cascade, weights = runner.manifest.policy(request.policy), runner.manifest.weights_sha256
    return {
        "version of Nestling": version("nestling"),
        "input": checked.sha256,
        "number of blocks": checked.blocks,
        "text column": columns.text,
        "text_pair column": columns.pair if columns.pairs else None,
        "checkpoint": weights,
        "model": cascade.name,
        "version of its thresholds": cascade.version(weights),
        "runner": runner.name,
        "min_confidence": request.limits.min_confidence,
        "max_cost": str(request.limits.max_cost),
        "truncate": request.truncate,
    }


def _finish(progress: Progress, rows: int) -> Callable[[Path, Path], None]:
    def make(streams: Path, path: Path) -> None:
        parquet.finish(streams, path, lambda done: progress.step(f"writing {path}", done, rows))

    return make


class _Stream:
    """Writes what is answered, and counts it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self.tally = out, Tally()

    def add(self, block: AnsweredBlock) -> None:
        self._out.write(block.data)
        self._out.flush()
        self.tally = self.tally.plus(block.tally)


class _Meter:
    """Shows how many rows of so many are answered, and how many a second. total: 0 if unknown."""

    def __init__(self, progress: Progress, total: int, phase: str) -> None:
        self._progress, self._total, self._phase = progress, total, phase
        self._rows = self._before = 0
        self._began = monotonic()

    def add(self, block: AnsweredBlock) -> None:
        if not self._rows:  # what was loaded until now is not the rate
            self._progress.step(self._phase, 0, self._total)
            self._before, self._began = block.tally.rows, monotonic()
        self._rows += block.tally.rows
        self._progress.step(self._phase, self._rows, self._total, self._rate)

    def _rate(self) -> str:
        return f"{(self._rows - self._before) / max(monotonic() - self._began, 1e-9):,.0f} texts/s"
