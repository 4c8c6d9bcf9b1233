"""Whose logits a command is about: the options of all commands that ask students."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..models.checkpoint.manifest import Manifest
    from ..models.precision import Precision

RunnerOption = Annotated[
    str | None,
    typer.Option(
        "--runner",
        help="torch, or onnx-int8, which is --precision int8.",
        show_default="the one for the precision",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="float32, bfloat16, float16 or int8: each has thresholds of its own. Where there is "
        "no GPU, bfloat16 and float16 are emulated.",
        show_default="float32; int8 with --runner onnx-int8; that of the records of a shadow log, "
        "if all have one",
    ),
]


def of_records(
    path: Path, log: Path, runner: str | None, precision: str | None
) -> tuple[Manifest, Precision]:
    """What is served where a log was written, unless the options say otherwise: a checkpoint as it
    is calibrated for the precision of the log's records, if all have one, else for float32.

    Raises NestlingError as `precision.chosen` does, and CheckpointError.
    """
    from ..models.calibration.records import recorded_in
    from ..models.checkpoint.manifest import calibrated_for, read_manifest
    from ..models.precision import chosen

    wanted, manifest = chosen(runner, precision), read_manifest(path)
    if runner is None and precision is None:
        wanted = recorded_in(log, manifest.weights_sha256) or wanted
    return calibrated_for(manifest, wanted), wanted
