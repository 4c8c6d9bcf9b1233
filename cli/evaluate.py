"""`nestling evaluate`: accuracy against cost, as tables, pictures and JSON."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .columns import PAIR, TEXT, LabelColumn, PairColumn, TextColumn, columns_for, labels_for
from .evaluated import MAX_SPREAD, show
from .logits import PrecisionOption, RunnerOption

if TYPE_CHECKING:
    from ..models.evaluation.accuracy import Result
    from ..models.inputs.data import Labelled
    from ..models.inputs.text import Text
    from ..models.precision import Precision
    from ..models.progress import Progress

NOT_KEPT = 1
"""Exit status where all was measured, but too unsteadily to be kept."""


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint directory.")],
    data: Annotated[Path, typer.Option(help="Texts that nothing was fitted on: .jsonl, .csv, …")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.json, frontier.png and frontier.html.",
            show_default="no files",
        ),
    ] = None,
    out_of_scope: Annotated[
        Path | None,
        typer.Option(
            help="Texts of no known label: how many reach the TA?", show_default="not asked"
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option(help="Texts whose time is measured.", min=32, max=1_000_000)
    ] = 1024,
    repeats: Annotated[
        int, typer.Option(help="Repeats of each measurement, all policies in turn.", min=2, max=999)
    ] = 9,
    runner: RunnerOption = None,
    precision: PrecisionOption = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep",
            help="Keep the report in the checkpoint, where the console reads it; refused where a "
            f"time varied by more than {MAX_SPREAD:.0%}.",
            show_default="off",
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the report as JSON instead.", show_default="off"),
    ] = False,
    text_column: TextColumn = TEXT,
    text_pair_column: PairColumn = PAIR,
    label_column: LabelColumn = None,
) -> None:
    """Measure every student and cascade: accuracy, cost, what escalation corrects.

    Times are of the device alone, batches of 32 texts, all policies side by side in one run.
    The checkpoint is left as it is; --keep writes the numbers into it, as report.json, those of
    another precision beside it.
    """
    from .progress import ProgressDisplay

    with ProgressDisplay() as progress:
        progress.step("starting")  # what is imported from here on takes seconds
        from ..models.checkpoint.integrity import write_hashed_json
        from ..models.checkpoint.manifest import REPORT
        from ..models.checkpoint.seen import doubts_about_evaluation
        from ..models.evaluation.predictions import fitting
        from ..models.heads.truth import answers_in
        from ..models.inputs.data import read_labelled, read_texts
        from ..models.precision import chosen, file_of
        from ..server.build import read_for
        from .outputs import check_file, check_folder

        if out is not None:
            check_folder(out)
            _check_drawing()
        wanted = chosen(runner, precision)
        manifest = read_for(checkpoint, wanted)
        kept = manifest.path / file_of(REPORT, wanted)
        if keep:
            check_file(kept, "--keep")
        progress.step("reading texts")
        columns = columns_for(manifest, text_column, text_pair_column)
        labelled = read_labelled(data, columns, labels_for(manifest, label_column))
        indices = answers_in(labelled, manifest.architecture.head(), data)
        doubts = doubts_about_evaluation(manifest, labelled.texts, labelled.sha256, data)
        texts, cut = fitting(manifest, labelled.texts, data)
        strangers: Sequence[Text] | None = None
        of_strangers: list[str] = []
        if out_of_scope is not None:
            unknown = read_texts(out_of_scope, columns)
            strangers, of_strangers = fitting(manifest, unknown, out_of_scope)
        for doubt in (*doubts, *cut, *of_strangers):
            progress.note(f"warning: {doubt}")
        timing = {"batch": 32, "texts": min(sample, len(indices)), "repeats": repeats}
        results = _measure(
            checkpoint, wanted, texts, indices, data, strangers, out_of_scope, timing, progress,
        )  # fmt: skip
        widest = max(result.seconds.spread for result in results)
        report = _report(wanted, labelled, data, manifest.weights_sha256, timing, widest, results)
        title = (
            f"Accuracy against cost: {manifest.path.name}, {len(indices):,} texts of {data.name}"
        )
        if out is not None:
            progress.step("drawing")
            _write(out, report, results, title)
        if keep and widest <= MAX_SPREAD:
            write_hashed_json(kept, report)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        show(results, f"{checkpoint} on {data.name}", repeats)
        if out is not None:
            typer.echo(f"{out}: report.json, frontier.png, frontier.html")
        if keep and widest <= MAX_SPREAD:
            typer.echo(f"{kept}: written")
    if keep and widest > MAX_SPREAD:
        typer.echo(
            f"nestling: --keep: nothing is kept: a time varied by {widest:.0%} between its "
            f"quartiles, the limit is {MAX_SPREAD:.0%}; let the machine do nothing else, or raise "
            "--repeats or --sample",
            err=True,
        )
        raise typer.Exit(NOT_KEPT)


def _measure(
    checkpoint: Path,
    precision: Precision,
    texts: Sequence[Text],
    indices: Sequence[int],
    data: Path,
    strangers: Sequence[Text] | None,
    out_of_scope: Path | None,
    timing: dict[str, int],
    progress: Progress,
) -> list[Result]:
    """All files are read and their labels known: from here on it takes long."""
    import torch

    from ..models.evaluation.accuracy import evaluate as run
    from ..models.evaluation.predictions import predict_all
    from ..server.build import kept_answers, load_for

    progress.step("loading the checkpoint")
    loaded, by = load_for(checkpoint, precision, progress)
    truth = torch.tensor(indices)
    predictions = predict_all(loaded, texts, data, by, progress)
    unknown = None
    if strangers is not None and out_of_scope is not None:
        unknown = predict_all(loaded, strangers, out_of_scope, by, progress)
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(0))
    sequences = [predictions.sequences[row] for row in order[: timing["texts"]].tolist()]
    exact = kept_answers(loaded, precision, texts, data, progress)
    repeats = timing["repeats"]
    return run(loaded, predictions, truth, sequences, unknown, repeats, by, progress, exact)


def _check_drawing() -> None:
    """Raises ModuleNotFoundError for what the pictures need, before they are due."""
    import matplotlib as mpl
    import plotly.graph_objects as go

    del mpl, go


def _report(
    precision: Precision,
    labelled: Labelled,
    data: Path,
    weights_sha256: str,
    timing: dict[str, int],
    widest: float,
    results: Sequence[Result],
) -> dict[str, Any]:
    from ..models.checkpoint.integrity import SCHEMA
    from ..models.precision import INT8, TORCH

    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["nestling", *sys.argv[1:]]),
        "hardware": _hardware(),
        "versions": {name: version(name) for name in ("nestling", "torch", "tokenizers")}
        | {"python": platform.python_version()},
        "data": {"file": data.name, "examples": len(labelled.texts), "sha256": labelled.sha256},
        "weights_sha256": weights_sha256,
        "runner": INT8 if precision == "int8" else TORCH,
        "precision": precision,
        "timing": timing | {"widest_spread": round(widest, 4)},
        "policies": [result.to_json() for result in results],
    }


def _write(out: Path, report: dict[str, Any], results: Sequence[Result], title: str) -> None:
    from ..models.checkpoint.integrity import replace_text
    from ..models.evaluation.frontier import draw_png, write_page

    out.mkdir(exist_ok=True)
    replace_text(out / "report.json", json.dumps(report, indent=1) + "\n")
    draw_png(results, out / "frontier.png", title)
    write_page(results, out / "frontier.html", title)


def _hardware() -> dict[str, Any]:
    import os

    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [x for x in info.read_text("utf-8").splitlines() if x.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }
