"""`nestling info`: what a checkpoint holds, as a table."""

from __future__ import annotations

from typing import Annotated

import typer


def info(
    checkpoint: Annotated[str, typer.Argument(help="Checkpoint directory or Hub id.")],
) -> None:
    """Show students, widths, parameters, FLOPs, thresholds and hashes."""
    raise NotImplementedError
