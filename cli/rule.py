"""What a calibration changes in which runner serves by default, said where it is made."""

from __future__ import annotations

from pathlib import Path

import typer


def tell_what_is_served(checkpoint: Path) -> None:
    """Say so where a checkpoint is calibrated for int8, and yet `--runner auto` is not int8."""
    from ..models.checkpoint.manifest import CALIBRATION, read_manifest
    from ..models.precision import INT8, file_of
    from ..models.runners.rule import against_int8

    if not (checkpoint / file_of(CALIBRATION, "int8")).exists():
        return
    if why := against_int8(read_manifest(checkpoint)):
        typer.echo(
            "On a CPU, `nestling serve` computes in float32 from its next start or reload on: "
            f"{why}. A start with --runner {INT8} keeps int8."
        )
