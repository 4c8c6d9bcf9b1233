"""`nestling classify`: a file of texts answered, without a server."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.errors import NestlingError
from ..models.runners import RunnerName
from .columns import PAIR, TEXT, PairColumn, TextColumn
from .progress import ProgressDisplay
from .serve import locate

if TYPE_CHECKING:
    from ..models.offline.run import OfflineRequest, OfflineResult
    from ..models.progress import Progress

STANDARD = "-"
"""The name of standard input, and of standard output: both are JSON Lines."""
SPOOLED = "standard input"
ROWS_WITHOUT_ANSWER = 1
"""The exit status where some rows have none."""


def classify(
    checkpoint: Annotated[
        str | None,
        typer.Argument(
            help="Checkpoint directory or Hub id; without it, the one that ships with Nestling.",
            show_default=False,
        ),
    ] = None,
    input: Annotated[
        str, typer.Option(help="Texts: .jsonl, .json, .csv, .parquet; - is standard input.")
    ] = STANDARD,
    output: Annotated[
        str,
        typer.Option(
            help="File to write: .jsonl, .csv, .parquet; - is standard output. It must not exist."
        ),
    ] = STANDARD,
    model: Annotated[str, typer.Option(help="auto, a cascade's or a student's name.")] = "auto",
    min_confidence: Annotated[
        float,
        typer.Option(
            help="That an answer needs beside its stage's threshold.",
            min=0,
            max=1,
            show_default="none",
        ),
    ] = 0.0,
    max_cost: Annotated[
        float | None,
        typer.Option(
            help="Of all students asked about a text, relative to the TA; above 0.",
            min=0,
            max=1_000_000,
            show_default="none",
        ),
    ] = None,
    truncate: Annotated[
        bool,
        typer.Option(
            "--truncate",
            help="Answer a text that is too long by its beginning.",
            show_default="off",
        ),
    ] = False,
    runner: Annotated[
        RunnerName,
        typer.Option(
            help="What computes; auto is the fastest that keeps the checkpoint's promise."
        ),
    ] = "auto",
    processes: Annotated[
        int | None,
        typer.Option(
            help="Processes, each with a runner of one thread.",
            min=1,
            max=1024,
            show_default="one per core",
        ),
    ] = None,
    text_column: TextColumn = TEXT,
    text_pair_column: PairColumn = PAIR,
) -> None:
    """Answer every text of a file, as the server would, at the speed of all cores.

    Rows come out in their order, with their own columns and those of the answer. A row that cannot
    be answered says why in the column `error`; then the exit status is 1. A run that was stopped
    goes on where it was when the same command is given again.
    """
    if max_cost == 0:
        raise NestlingError("--max-cost: 0 is not above 0")
    # Before anything loads them: the processes are what the cores are for.
    for variable, value in (("TOKENIZERS_PARALLELISM", "false"), ("OMP_NUM_THREADS", "1")):
        os.environ.setdefault(variable, value)
    started = monotonic()
    with ProgressDisplay() as progress:
        progress.step("starting")  # what is imported from here on takes seconds
        from ..models.inputs.data import TextColumns
        from ..models.offline.answers import TextLimits
        from ..models.offline.run import OfflineRequest

        request = OfflineRequest(
            locate(checkpoint),
            model,
            TextColumns(text_column, text_pair_column),
            TextLimits(min_confidence, inf if max_cost is None else max_cost),
            truncate,
            runner,
            processes,
        )
        result = _run(request, input, output, progress)
    _report(result, output, monotonic() - started)
    if result.tally.answered < result.tally.rows:
        raise typer.Exit(ROWS_WITHOUT_ANSWER)


def _run(request: OfflineRequest, input: str, output: str, progress: Progress) -> OfflineResult:
    from ..models.offline.output import state_of
    from ..models.offline.run import classify_file, classify_stream, form_of
    from .outputs import check_new

    if input == STANDARD and sys.stdin.isatty():
        raise NestlingError("--input: is the terminal; name a file, or pipe JSON Lines into it")
    if output == STANDARD:
        if input == STANDARD:
            return classify_stream(request, sys.stdin.fileno(), sys.stdout.buffer, progress)
        return classify_file(request, Path(input), sys.stdout.buffer, progress)
    out = Path(output)
    form_of(out)
    if not state_of(out).exists():
        check_new(out, "--output")
    if input != STANDARD:
        return classify_file(request, Path(input), out, progress)
    with _spooled(progress) as path:
        return classify_file(request, path, out, progress, SPOOLED)


@contextmanager
def _spooled(progress: Progress) -> Iterator[Path]:
    """What is piped in as a file: a run that goes on later has to see all of it again."""
    progress.step(f"reading {SPOOLED}")
    with tempfile.NamedTemporaryFile(prefix="nestling-", suffix=".jsonl") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield Path(file.name)


def _report(result: OfflineResult, output: str, seconds: float) -> None:
    """On stderr where stdout has the answers."""
    tally, fresh = result.tally, result.tally.rows - result.resumed
    by = ", ".join(f"{name} {n / tally.rows:.1%}" for name, n in tally.students.items())
    lines = []
    if output != STANDARD:
        rate = f", {fresh / seconds:,.0f} a second, all in all" if fresh else ""
        resumed = f" ({result.resumed:,} of them before)" if result.resumed else ""
        lines.append(f"{output}: written: {tally.rows:,} rows{resumed}{rate}")
    if tally.answered:
        cost = tally.relative_cost / tally.answered
        lines.append(f"answered by {by}, for {cost:.1%} of the TA's cost; runner {result.runner}")
    if tally.abstained:
        lines.append(f"{tally.abstained:,} without a label, as out of scope")
    missing = tally.rows - tally.answered
    if missing:
        few = "; ".join(f"row {row}: {fault}" for row, fault in tally.faults)
        more = f"; and {missing - len(tally.faults):,} more" if missing > len(tally.faults) else ""
        lines.append(f"{missing:,} of {tally.rows:,} rows have no answer: {few}{more}")
    typer.echo("\n".join(lines), err=output == STANDARD)
