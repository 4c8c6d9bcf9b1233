"""`nestling calibrate`: thresholds with a guarantee, written into the checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.errors import NestlingError

if TYPE_CHECKING:
    from ..models.batch import Run
    from ..models.calibration.choice import Target
    from ..models.cascade import Cascade
    from ..models.checkpoint import Checkpoint

MAX_DROP, CONFIDENCE = 0.005, 0.95
SAMPLE = 512
"""Texts on which the students' time is measured."""


def calibrate(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint directory.")],
    data: Annotated[
        Path | None, typer.Option(help="Texts that were not trained on: .jsonl, .csv, …")
    ] = None,
    from_shadow: Annotated[
        Path | None,
        typer.Option(help="Instead of texts: what `nestling serve --shadow-log` has written."),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            help="The risk that is kept, α: 0.005, the default, is half a point of accuracy. "
            "With --from-shadow the default is each cascade's own."
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Probability with which the risk is kept, 1 − δ: 0.95, or each cascade's own."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="drop: accuracy lost against the TA, the default. disagreement: no labels, as "
            "always with --from-shadow."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The cascade's name; else from loss and risk: drop-0.005. With --from-shadow: "
            "this cascade alone, else all that were recorded."
        ),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Let this cascade answer `auto` from now on.")
    ] = False,
    runner: Annotated[
        str,
        typer.Option(help="Whose logits: torch, which is also onnx's, or onnx-int8, kept apart."),
    ] = "torch",
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column that holds the label.")] = "label",
) -> None:
    """Find the cheapest cascade that keeps its accuracy, with a stated confidence.

    Cascades are kept by name: calibrating again adds one, or replaces the one of the same name.
    The first becomes the default.
    """
    from ..models.calibration.choice import Target
    from ..server.loading import load_for
    from .recalibrate import recalibrate

    loaded, run = load_for(checkpoint, runner)
    if data is not None and from_shadow is None:
        loss = loss or "drop"
        drop = MAX_DROP if max_drop is None else max_drop
        target = Target(drop, CONFIDENCE if confidence is None else confidence, loss)
        _from_texts(loaded, run, runner, data, target, name, default, text_column, label_column)
    elif from_shadow is not None and data is None:
        if default or loss not in (None, "disagreement"):
            raise NestlingError(
                "--from-shadow: has no labels, so that its loss is disagreement; and it leaves "
                "the default as it is"
            )
        recalibrate(loaded, run, runner, from_shadow, max_drop, confidence, name)
    else:
        raise NestlingError("calibrate: takes one of --data and --from-shadow")


def _from_texts(
    loaded: Checkpoint,
    run: Run,
    runner: str,
    data: Path,
    target: Target,
    name: str | None,
    default: bool,
    text_column: str,
    label_column: str,
) -> None:
    import torch

    from ..models.calibration.calibrate import calibrate as find
    from ..models.cascade import check_name
    from ..models.checkpoint import write_calibration
    from ..models.data import label_indices, read_labelled, read_texts
    from ..models.integrity import sha256_of
    from ..models.manifest import TA
    from ..models.predictions import predict_all
    from ..models.seen import refuse_training_texts
    from ..models.timing import measure, per_text

    name = name or f"{target.loss}-{target.alpha:g}"
    try:
        check_name(name, "cascade")
    except ValueError as error:
        raise NestlingError(f"name: {error}") from None
    if name == "auto" or name in loaded.students:
        raise NestlingError(f"name: {name!r} already names a policy of this checkpoint")
    truth = None
    if target.loss == "drop":
        labelled = read_labelled(data, text_column, label_column)
        texts = labelled.texts
        truth = torch.tensor(label_indices(labelled, loaded.architecture.labels, data))
    else:
        texts = read_texts(data, text_column)
    data_sha256 = sha256_of(data)
    for doubt in refuse_training_texts(loaded, texts, data_sha256, data):
        typer.echo(f"warning: {doubt}", err=True)
    predictions = predict_all(loaded, texts, data, run)
    alone = [loaded.policy(student) for student in loaded.students]
    seconds = per_text(measure(loaded, alone, predictions.sequences[:SAMPLE], run=run))
    result = find(loaded, predictions, truth, seconds, target, name, data_sha256)
    temperatures = {s.name: s.temperature for s in loaded.students.values()}
    if target.loss == "drop":  # temperatures of agreement belong to that cascade alone
        temperatures = result.temperatures
    cascades = {**loaded.cascades, name: result.cascade}
    chosen = name if default or loaded.default == TA else loaded.default
    write_calibration(loaded, temperatures, cascades, chosen, runner)
    show(loaded, result.cascade, result.losses, result.allowed)
    typer.echo(f"`auto` is answered by {chosen}.")


def show(checkpoint: Checkpoint, cascade: Cascade, losses: int, allowed: int) -> None:
    """A table of the stages, and what is promised of them."""
    from rich.table import Table

    from .console import wide_console

    guarantee, forecast = cascade.guarantee, cascade.forecast
    if guarantee is None or forecast is None:
        raise RuntimeError("a calibrated cascade has a guarantee and a forecast")
    table = Table(title=f"{checkpoint.path}: cascade {cascade.name}")
    for column in ("stage", "accepts from", "temperature", "answers"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage, share in zip(cascade.stages, forecast.shares, strict=True):
        threshold = f"{stage.threshold:.4f}" if stage.threshold > 0 else "always"
        temperature = f"{stage.student.temperature:.3f}"
        table.add_row(stage.student.name, threshold, temperature, f"{share:.1%}")
    console = wide_console()
    console.print(table)
    console.print(
        f"Expected cost against the TA alone: {1 / forecast.relative_flops:.1f}× fewer FLOPs, "
        f"{1 / forecast.relative_seconds:.1f}× less time.\n"
        f"Observed risk ({guarantee.loss}): {guarantee.observed_risk:.2%}, {losses} losses in "
        f"{guarantee.examples:,} texts ({allowed} allowed); {guarantee.ordering_examples:,} "
        f"texts ordered the tests.\n"
        f"With {guarantee.confidence:.0%} confidence it is at most {guarantee.alpha:.2%} on data "
        f"of the same distribution.",
        highlight=False,
    )
