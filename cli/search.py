"""`nestling search`: students that nobody trained by themselves, found and added."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.errors import NestlingError
from .calibrated import MAX_DROP
from .columns import PAIR, TEXT, LabelColumn, PairColumn, TextColumn, columns_for, labels_for
from .costs import FLOPS, CostOption, ProfileOption, latency_model
from .train import SEEDS

if TYPE_CHECKING:
    from ..models.checkpoint.manifest import Manifest
    from ..models.inputs.data import Labelled
    from ..models.search.found import SearchResult
    from ..models.search.run import SearchOptions


def search(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint directory.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Texts that were not trained on, and that calibrate nothing later: .jsonl, .csv, …"
        ),
    ],
    max_drop: Annotated[
        float,
        typer.Option(
            help="Share of texts that a cascade may lose against the TA.", min=1e-5, max=0.99999
        ),
    ] = MAX_DROP,
    max_cost: Annotated[
        float | None,
        typer.Option(
            help="What a student may cost, as a share of the TA: 0.1 is a tenth.",
            min=1e-9,
            max=1.0,
            show_default="none; dearer ones than half of the TA are not looked for",
        ),
    ] = None,
    latency_ms: Annotated[
        float | None,
        typer.Option(
            help="Milliseconds that a student may take for one long text, by --profile.",
            min=1e-6,
            max=86_400_000,
            show_default="none",
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="That the search takes, about.", min=0.01, max=10_000)
    ] = 10.0,
    add: Annotated[int, typer.Option(help="Students that are added at most.", min=1, max=16)] = 4,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The checkpoint to write; must not exist.",
            show_default="the students are added to the checkpoint itself",
        ),
    ] = None,
    cost: CostOption = FLOPS,
    profile: ProfileOption = None,
    seed: Annotated[int, typer.Option(help="Of all that is left to chance.", min=0, max=SEEDS)] = 0,
    text_column: TextColumn = TEXT,
    text_pair_column: PairColumn = PAIR,
    label_column: LabelColumn = None,
) -> None:
    """Look for better students inside the TA: other layers, other widths; nothing is trained.

    Tells what each is worth on texts that chose nothing, and adds those that make the cascade
    cheaper. `nestling calibrate`, on other texts, then puts them to use.
    """
    from ..models.search.run import SearchOptions
    from .outputs import check_file, check_new
    from .progress import ProgressDisplay
    from .searched import show

    if latency_ms is not None and profile is None:
        raise NestlingError("latency-ms: takes --cost time with a --profile of this checkpoint")
    options = SearchOptions(
        max_drop=max_drop,
        max_cost=max_cost,
        latency=None if latency_ms is None else latency_ms / 1e3,
        seconds=60 * minutes,
        most=add,
        seed=seed,
    )
    with ProgressDisplay() as progress:
        progress.step("reading the checkpoint")
        from ..models.checkpoint.load import load_weights
        from ..models.checkpoint.manifest import CONFIG, read_manifest
        from ..models.checkpoint.seen import refuse_to_search
        from ..models.evaluation.predictions import fitting
        from ..models.heads.truth import answers_in
        from ..models.inputs.data import read_labelled
        from ..models.search.run import search as run

        manifest = read_manifest(checkpoint)
        if out is None:
            check_file(manifest.path / CONFIG, "search")
        else:
            check_new(out)
        model = latency_model(cost, profile, manifest)
        columns = columns_for(manifest, text_column, text_pair_column)
        labelled = read_labelled(data, columns, labels_for(manifest, label_column))
        indices = answers_in(labelled, manifest.architecture.head(), data)
        doubts = refuse_to_search(manifest, labelled.texts, labelled.sha256, data)
        texts, cut = fitting(manifest, labelled.texts, data)
        for doubt in (*doubts, *cut):
            progress.note(f"warning: {doubt}")
        progress.step("loading the checkpoint")
        import torch

        loaded = load_weights(manifest)
        truth = torch.tensor(indices)
        result = run(loaded, texts, truth, str(data), labelled.sha256, options, model, progress)
        if result.added:
            progress.step("writing the students")
            _write(manifest, out, data, labelled, options, result)
    show(result, out if out and result.added else checkpoint, data)


def _write(
    manifest: Manifest,
    out: Path | None,
    data: Path,
    labelled: Labelled,
    options: SearchOptions,
    result: SearchResult,
) -> None:
    """Into the checkpoint itself, or into a copy of it."""
    from dataclasses import asdict

    from ..models.checkpoint.searches import SearchRecord, add_students, copy_with_students
    from ..models.inputs.data.fingerprints import TextSample

    record = SearchRecord(
        data=data.name,
        data_sha256=labelled.sha256,
        looked_at=TextSample.of(labelled.texts),
        options=asdict(options),
        students={name: student.to_json() for name, student in result.added.items()},
    )
    specs = {name: student.spec for name, student in result.added.items()}
    if out is None:
        add_students(manifest.path, specs, record, result.held_out)
    else:
        copy_with_students(manifest, out, specs, record, result.held_out)
