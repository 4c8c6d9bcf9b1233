"""What is done with a block of rows, in whichever process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import DataError
from ..inputs.data.text_columns import TextColumns
from ..progress import SILENT, Progress
from ..runners.base import ModelRunner
from .answers import TextLimits, answer
from .formats import comma_separated, json_lines, parquet
from .formats.rows import Row, RowBlock
from .loading import load
from .table import Tally, table, tally
from .tokens import RowEncoder

if TYPE_CHECKING:
    import pyarrow as pa

OutputFormat = Literal[".jsonl", ".csv", ".parquet"]


@dataclass(frozen=True)
class OfflineJob:
    """All that decides what a file's rows are answered, and how that is written.

    policy: `auto`, a cascade's or a student's name. columns: that hold the texts, or both of
    each pair. source: what messages call the input. kept: what its columns are called in the
    output. own, schema: the types of the input's columns and of all, for Parquet; else None.
    """

    checkpoint: Path
    runner: str
    device: str
    policy: str
    columns: TextColumns
    source: str
    form: OutputFormat
    limits: TextLimits
    truncate: bool
    kept: dict[str, str]
    own: pa.Schema | None = None
    schema: pa.Schema | None = None


@dataclass(frozen=True)
class AnsweredBlock:
    """data: what is written of it. tally: what came of its rows. fault: why its rows end there,
    with the line which is none; else None.
    """

    data: bytes
    tally: Tally
    fault: str | None = None

    def refuse_fault(self) -> None:
        """Raises DataError if it has one."""
        if self.fault is not None:
            raise DataError(self.fault)


class OfflineWork:
    """Answers one block after the other. Raises NestlingError for what cannot be loaded."""

    def __init__(
        self, job: OfflineJob, progress: Progress = SILENT, runner: ModelRunner | None = None
    ) -> None:
        self._job = job
        self._runner = runner or load(job.runner, job.device, job.checkpoint, progress)
        self._cascade = self._runner.manifest.policy(job.policy)
        self._encoder = RowEncoder(self._runner.manifest, job.columns, job.truncate)

    def __call__(self, block: RowBlock) -> AnsweredBlock:
        """The rows of a block, or those before the line that is none."""
        job = self._job
        rows: list[Row] = []
        fault = None
        try:
            for row in block.rows(job.columns.needed, job.source):
                rows.append(row)  # what came before an error is wanted
        except DataError as error:
            fault = str(error)
        places, sequences, faults = self._encoder.encode(rows)
        answers = answer(self._runner, self._cascade, sequences, job.limits)
        found = table(
            self._runner.manifest, self._cascade, len(rows), places, list(map(len, sequences)),
            answers, faults, job.limits.max_cost,
        )  # fmt: skip
        if job.form == ".parquet":
            data = parquet.encode(block, rows, job.own, job.schema, found)
        elif job.form == ".csv":
            data = comma_separated.encode(rows, list(job.kept), found)
        else:
            kept = {name: called for name, called in job.kept.items() if name != called}
            data = json_lines.encode(rows, kept, found)
        return AnsweredBlock(data, tally(found), fault)
