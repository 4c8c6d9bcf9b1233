"""`nestling calibrate`: thresholds with a guarantee, written into the checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...models.errors import NestlingError

if TYPE_CHECKING:
    from ...models.calibration.calibrate import Calibrated, Target
    from ...models.checkpoint import Checkpoint


def calibrate(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint directory.")],
    data: Annotated[Path, typer.Option(help="Texts that were not trained on: .jsonl, .csv, …")],
    max_drop: Annotated[
        float, typer.Option(help="The risk that is kept, α: 0.005 is half a point of accuracy.")
    ] = 0.005,
    confidence: Annotated[
        float, typer.Option(help="Probability with which the risk is kept, 1 − δ.")
    ] = 0.95,
    loss: Annotated[
        str, typer.Option(help="drop: accuracy lost against the TA. disagreement: no labels.")
    ] = "drop",
    name: Annotated[
        str | None, typer.Option(help="The cascade's name; else from loss and risk: drop-0.005.")
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Let this cascade answer `auto` from now on.")
    ] = False,
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column that holds the label.")] = "label",
) -> None:
    """Find the cheapest cascade that keeps its accuracy, with a stated confidence.

    Cascades are kept by name: calibrating again adds one, or replaces the one of the same name.
    The first becomes the default.
    """
    import torch

    from ...models.calibration.calibrate import Target
    from ...models.calibration.calibrate import calibrate as run
    from ...models.checkpoint import load_checkpoint, write_calibration
    from ...models.data import label_indices, read_labelled, read_texts
    from ...models.integrity import sha256_of
    from ...models.manifest import TA
    from ...models.predictions import predict_all
    from ...models.timing import measure, per_text

    target = Target(max_drop, confidence, loss)
    loaded = load_checkpoint(checkpoint)
    name = name or f"{loss}-{max_drop:g}"
    if name == "auto" or name in loaded.students:
        raise NestlingError(f"name: {name!r} already names a policy of this checkpoint")
    truth = None
    if loss == "drop":
        labelled = read_labelled(data, text_column, label_column)
        texts = labelled.texts
        truth = torch.tensor(label_indices(labelled, loaded.architecture.labels, data))
    else:
        texts = read_texts(data, text_column)
    predictions = predict_all(loaded, texts, data)
    alone = [loaded.policy(student) for student in loaded.students]
    seconds = per_text(measure(loaded, alone, predictions.sequences[:SAMPLE]))
    result = run(loaded, predictions, truth, seconds, target, name, sha256_of(data))
    temperatures = {s.name: s.temperature for s in loaded.students.values()}
    if loss == "drop":  # temperatures of agreement belong to that cascade alone
        temperatures = result.temperatures
    cascades = {**loaded.cascades, name: result.cascade}
    chosen = name if default or loaded.default == TA else loaded.default
    write_calibration(loaded, temperatures, cascades, chosen)
    _show(loaded, result, target, chosen)


SAMPLE = 512
"""Texts on which the students' time is measured."""


def _show(checkpoint: Checkpoint, result: Calibrated, target: Target, default: str) -> None:
    from rich.table import Table

    from .console import wide_console

    cascade = result.cascade
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
        f"Observed risk ({target.loss}): {guarantee.observed_risk:.2%}, {result.losses} losses in "
        f"{guarantee.examples:,} texts ({result.allowed} allowed); {guarantee.ordering_examples:,} "
        f"texts ordered the tests.\n"
        f"With {target.confidence:.0%} confidence it is at most {target.alpha:.2%} on data of the "
        f"same distribution.\n"
        f"`auto` is answered by {default}.",
        highlight=False,
    )
