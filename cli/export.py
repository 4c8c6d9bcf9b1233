"""`nestling export`: one student as a Hugging Face directory, or as an ONNX graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..models.errors import NestlingError


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint directory.")],
    student: Annotated[str, typer.Option(help="The student's name; `ta` is the whole TA.")],
    out: Annotated[Path, typer.Option(help="The directory to write; must not exist.")],
    onnx: Annotated[
        bool,
        typer.Option(
            "--onnx",
            help="An ONNX graph instead of a Hugging Face directory.",
            show_default="off",
        ),
    ] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="With --onnx: products with weights in int8.", show_default="off"
        ),
    ] = False,
) -> None:
    """Write one student alone, in the form that `transformers` or ONNX Runtime loads by itself.

    The directory's README.md says how to run it, and which temperature its weights hold.
    """
    from .outputs import check_new
    from .progress import ProgressDisplay

    if int8 and not onnx:
        raise NestlingError("--int8: goes with --onnx; a Hugging Face directory is float32")
    check_new(out)
    with ProgressDisplay() as progress:
        progress.step("loading the checkpoint")
        if onnx:
            from ..models.checkpoint.manifest import read_manifest
            from ..models.runners.onnx.directory import export_onnx

            manifest = read_manifest(checkpoint)
            progress.step(f"writing {student}")
            export_onnx(manifest, student, out, "int8" if int8 else "float32")
        else:
            from ..models.checkpoint.export import export as run
            from ..models.checkpoint.load import load_checkpoint

            loaded = load_checkpoint(checkpoint)
            progress.step(f"writing {student}")
            run(loaded, student, out)
    typer.echo(f"{out}: written")
