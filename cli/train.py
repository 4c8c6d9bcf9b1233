"""`nestling train`: a TA and its students from a teacher, or further from their traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..models.errors import NestlingError
from ..models.nested.head_spec import Task
from ..models.training.recipe import Recipe
from .columns import PAIR, TEXT, LabelColumn, PairColumn, TextColumn
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
            help="Texts whose accuracy is told at the end. Nothing is chosen by them, so they may "
            "calibrate. With --resume-from, more texts by which before and after are judged.",
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
            "--keep-worse",
            help="With --resume-from: write the checkpoint even if it is worse.",
            show_default="off",
        ),
    ] = False,
    text_column: TextColumn = TEXT,
    text_pair_column: PairColumn = PAIR,
    label_column: LabelColumn = None,
    task: Annotated[
        Task | None,
        typer.Option(
            help="single_label: each text has exactly one label. multi_label: any number of them, "
            "as a list.",
            show_default="as the data are: lists, or a column `labels`, are of several",
        ),
    ] = None,
    probabilities: Annotated[
        str | None,
        typer.Option(
            help="Column with an object {label: probability} for each text, as a language model "
            "gives them. It is learnt in place of the label, which may be missing.",
            show_default="none",
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="More texts, without labels: the teacher judges them.", show_default="none"
        ),
    ] = None,
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
            help="JSON file {name: {layers, dim, attention_heads, ffn}}.",
            show_default="three sizes",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="What the whole run may take, at most; fewer steps where they do not fit.",
            min=0.1,
            max=100_000,
            show_default="none",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of joint training; fine-tuning takes half as many.",
            min=1,
            max=10_000_000,
            show_default="from the data",
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Labelled texts per step of joint training.",
            min=1,
            max=65_536,
            show_default="from the data",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Of joint training; above 0.",
            min=0,
            max=1e38,
            show_default=f"{RECIPE.joint.learning_rate:g}, with --resume-from less",
        ),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option(
            help="Recombined texts per training text; 0 for none.",
            min=0,
            max=1000,
            show_default="from the data",
        ),
    ] = None,
    relation_weight: Annotated[
        float, typer.Option(help="Weight of MiniLMv2's relation loss.", min=0, max=1e300)
    ] = RECIPE.relation_weight,
    longest: Annotated[
        int | None,
        typer.Option(
            help="Longest training text in tokens.",
            min=3,
            max=1_000_000,
            show_default="from the data",
        ),
    ] = None,
    save_every: Annotated[
        int,
        typer.Option(
            help="Steps between saved states, besides those of evaluations.",
            min=1,
            max=1_000_000_000,
        ),
    ] = 500,
    seed: Annotated[
        int, typer.Option(help="Same seed and machine: same model.", min=0, max=SEEDS)
    ] = RECIPE.seed,
) -> None:
    """Train a TA and its students from a teacher, by the MatTA recipe; or a checkpoint further.

    Steps, batches and precision follow from the data and the machine; a tenth of the data is held
    out and says which state to keep. Calibrate on other texts.

    A run that was killed goes on from its last saved state when the same command is given again.
    Several processes or GPUs: `accelerate launch -m nestling.cli train …`.
    """
    from .outputs import check_new
    from .progress import ProgressDisplay, is_first_process

    check_new(out)
    if minutes is not None and steps is not None:
        raise NestlingError("--minutes and --steps: one of them decides how long training takes")
    if resume_from is not None or traffic is not None or keep_worse:
        train_further(context.params)
        return
    if teacher is None or data is None:
        missing = "--teacher" if teacher is None else "--data"
        raise NestlingError(f"{missing}: is missing; see `nestling train --help`")
    with ProgressDisplay() as progress:
        progress.step("starting")
        from ..models.inputs.data import LabelColumns, TextColumns
        from ..models.training.material import Options
        from ..models.training.plan import Wishes
        from ..models.training.run import train as run

        options = Options(
            teacher=teacher,
            data=data,
            out=out,
            validation=validation,
            texts=TextColumns(text_column, text_pair_column, pairs=None),
            labels=LabelColumns(label_column, kind=task),
            probabilities_column=probabilities,
            label_map=label_map,
            unlabelled=unlabelled,
            students=students,
            longest=longest,
            save_every=save_every,
            wishes=Wishes(
                steps=steps,
                minutes=minutes,
                batch_size=batch_size,
                learning_rate=learning_rate,
                pool=pool,
                relation_weight=relation_weight,
                seed=seed,
            ),
        )
        written = run(options, progress)
    if is_first_process():
        others = validation or "texts that were not trained on"
        typer.echo(f"{written}: written. Next: nestling calibrate {written} --data {others}")
