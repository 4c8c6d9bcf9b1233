"""`nestling train`: a TA and its students from a teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..models.errors import NestlingError


def train(
    teacher: Annotated[
        str,
        typer.Option(
            help="Hugging Face sequence-classification checkpoint, or an encoder to be fine-tuned "
            "first: a directory or a Hub id."
        ),
    ],
    data: Annotated[Path, typer.Option(help="Training texts: .jsonl, .csv or .parquet.")],
    validation: Annotated[Path, typer.Option(help="Texts whose accuracy is shown meanwhile.")],
    out: Annotated[Path, typer.Option(help="The checkpoint to write; must not exist.")],
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column that holds the label.")] = "label",
    label_map: Annotated[
        Path | None,
        typer.Option(
            help="JSON file {label of the data: label of the teacher}, where they are spelled "
            "otherwise. The checkpoint has the data's."
        ),
    ] = None,
    students: Annotated[
        Path | None,
        typer.Option(help="JSON file {name: {layers, dim, heads, ffn}}; else three sizes."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of joint training.", min=1)] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Labelled texts per step of joint training.", min=1)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of joint training; above 0.", min=0)
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option(help="Recombined texts per training text; 0 for none.", min=0, max=1000),
    ] = None,
    finetune_epochs: Annotated[
        int | None, typer.Option(help="Epochs of fine-tuning an encoder.", min=1)
    ] = None,
    relation_weight: Annotated[
        float | None, typer.Option(help="Weight of MiniLMv2's relation loss.", min=0)
    ] = None,
    longest: Annotated[int, typer.Option(help="Longest training text in tokens.", min=3)] = 128,
    save_every: Annotated[int, typer.Option(help="Steps between saved states.", min=1)] = 500,
    seed: Annotated[
        int, typer.Option(help="Same seed and machine: same model.", min=0, max=2**32 - 1)
    ] = 0,
) -> None:
    """Train a TA and its students from a teacher, by the MatTA recipe.

    A run that was killed goes on from its last saved state when the same command is given again.
    Several processes or GPUs: `accelerate launch -m nestling.cli train …`.
    """
    try:
        from ..models.training.material import Options
        from ..models.training.recipe import Recipe
        from ..models.training.run import train as run
    except ModuleNotFoundError as missing:
        raise NestlingError(
            f"{missing.name} is not installed; training needs the extra `train`: "
            "pip install '.[train]' in Nestling's source tree"
        ) from missing

    recipe = Recipe(seed=seed)
    joint = recipe.joint
    if epochs is not None:
        joint = replace(joint, epochs=epochs)
    if batch_size is not None:
        joint = replace(joint, batch_size=batch_size)
    if learning_rate is not None:
        joint = replace(joint, learning_rate=learning_rate)
    recipe = replace(recipe, joint=joint)
    if finetune_epochs is not None:
        recipe = replace(recipe, finetune=replace(recipe.finetune, epochs=finetune_epochs))
    if pool is not None:
        recipe = replace(recipe, pool=pool)
    if relation_weight is not None:
        recipe = replace(recipe, relation_weight=relation_weight)
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
    written = run(options, recipe)
    typer.echo(f"{written}: written. Next: nestling calibrate {written} --data {validation}")
