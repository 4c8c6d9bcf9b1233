"""`nestling train`: a TA and its students from a teacher, or further from their traffic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..models.errors import NestlingError
from ..models.training.recipe import Recipe
from .train_further import train_further

RECIPE = Recipe()
"""What is used where nothing is said."""
SEEDS = 2**32 - 1
"""The greatest seed that every generator of random numbers takes."""


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The checkpoint to write; must not exist.")],
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Hugging Face sequence-classification checkpoint, or an encoder to be fine-tuned "
            "first: a directory or a Hub id.",
            show_default="none",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Training texts: .jsonl, .csv or .parquet. With --resume-from, those that are "
            "repeated so that nothing is forgotten.",
            show_default="none",
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option(
            help="Texts whose accuracy is shown meanwhile. With --resume-from, texts by which "
            "before and after are judged, too.",
            show_default="none",
        ),
    ] = None,
    resume_from: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint that is trained further, in place of --teacher; see "
            "docs/traffic.md.",
            show_default="none",
        ),
    ] = None,
    traffic: Annotated[
        Path | None,
        typer.Option(
            help="With --resume-from: texts that it was asked, as nestling serve keeps them with "
            "--shadow-texts; some may have a label.",
            show_default="none",
        ),
    ] = None,
    keep_worse: Annotated[
        bool,
        typer.Option(
            "--keep-worse", help="With --resume-from: write the checkpoint even if it is worse."
        ),
    ] = False,
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column that holds the label.")] = "label",
    label_map: Annotated[
        Path | None,
        typer.Option(
            help="JSON file {label of the data: label of the teacher}, where they are spelled "
            "otherwise. The checkpoint has the data's.",
            show_default="none",
        ),
    ] = None,
    students: Annotated[
        Path | None,
        typer.Option(
            help="JSON file {name: {layers, dim, heads, ffn}}.", show_default="three sizes"
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(help="Epochs of joint training.", min=1, max=10_000)
    ] = RECIPE.joint.epochs,
    batch_size: Annotated[
        int, typer.Option(help="Labelled texts per step of joint training.", min=1, max=65_536)
    ] = RECIPE.joint.batch_size,
    learning_rate: Annotated[
        float, typer.Option(help="Of joint training; above 0.", min=0, max=1e38)
    ] = RECIPE.joint.learning_rate,
    pool: Annotated[
        int, typer.Option(help="Recombined texts per training text; 0 for none.", min=0, max=1000)
    ] = RECIPE.pool,
    finetune_epochs: Annotated[
        int, typer.Option(help="Epochs of fine-tuning an encoder.", min=1, max=10_000)
    ] = RECIPE.finetune.epochs,
    relation_weight: Annotated[
        float, typer.Option(help="Weight of MiniLMv2's relation loss.", min=0, max=1e300)
    ] = RECIPE.relation_weight,
    longest: Annotated[
        int, typer.Option(help="Longest training text in tokens.", min=3, max=1_000_000)
    ] = 128,
    save_every: Annotated[
        int, typer.Option(help="Steps between saved states.", min=1, max=1_000_000_000)
    ] = 500,
    seed: Annotated[
        int, typer.Option(help="Same seed and machine: same model.", min=0, max=SEEDS)
    ] = RECIPE.seed,
) -> None:
    """Train a TA and its students from a teacher, by the MatTA recipe; or a checkpoint further.

    A run that was killed goes on from its last saved state when the same command is given again.
    Several processes or GPUs: `accelerate launch -m nestling.cli train …`.
    """
    from .outputs import check_new
    from .progress import ProgressDisplay

    check_new(out)
    if resume_from is not None or traffic is not None or keep_worse:
        train_further(context)
        return
    if teacher is None or data is None or validation is None:
        missing = [n for n in ("teacher", "data", "validation") if context.params[n] is None]
        raise NestlingError(f"--{missing[0]}: is missing; see `nestling train --help`")
    joint = replace(RECIPE.joint, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    recipe = replace(
        RECIPE,
        finetune=replace(RECIPE.finetune, epochs=finetune_epochs),
        joint=joint,
        pool=pool,
        relation_weight=relation_weight,
        seed=seed,
    )
    with ProgressDisplay() as progress:
        progress.step("starting")
        from ..models.training.material import Options
        from ..models.training.run import train as run

        options = Options(
            teacher=teacher,
            data=data,
            validation=validation,
            out=out,
            text_column=text_column,
            label_column=label_column,
            label_map=label_map,
            students=students,
            longest=longest,
            save_every=save_every,
        )
        written = run(options, recipe, progress)
    typer.echo(f"{written}: written. Next: nestling calibrate {written} --data {validation}")
