"""`nestling export`: one student as a Hugging Face directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint directory.")],
    student: Annotated[str, typer.Option(help="The student's name; `ta` is the whole TA.")],
    out: Annotated[Path, typer.Option(help="The directory to write; must not exist.")],
) -> None:
    """Write one student alone, in the form that `transformers` loads without Nestling."""
    from ...models.checkpoint import load_checkpoint
    from ...models.export import export as run

    run(load_checkpoint(checkpoint), student, out)
    typer.echo(f"{out}: written")
