"""`nestling train --resume-from`: a checkpoint learns from its traffic, or stays as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from ..models.errors import NestlingError

if TYPE_CHECKING:
    from ..models.training.further.comparison import Judgement
    from ..models.training.further.run import FurtherResult

REFUSED = {
    "teacher": "the checkpoint as it was is the teacher",
    "students": "it trains those of the checkpoint",
    "task": "it is that of the checkpoint",
    "label_map": "the labels are those of the checkpoint",
    "unlabelled": "texts without labels may stand in the file of --traffic",
    "probabilities": "a text has one label here, or none",
}
"""Options of `nestling train` that say nothing here, and why."""
WISHES = (
    "steps",
    "minutes",
    "batch_size",
    "learning_rate",
    "pool",
    "relation_weight",
    "seed",
)
"""Those that stand in place of the plan."""
OPTIONS = (
    "traffic",
    "out",
    "data",
    "validation",
    "keep_worse",
    "longest",
    "save_every",
)
"""The others, as `FurtherOptions` calls them."""


def train_further(given: Mapping[str, Any]) -> None:
    """What `nestling train` does with --resume-from. given: its options, by name.

    Raises NestlingError for options that do not go together, and where something became worse.
    """
    _check(given)
    from .progress import ProgressDisplay, is_first_process

    with ProgressDisplay() as progress:
        progress.step("starting")
        from ..models.inputs.data import LabelColumns, TextColumns
        from ..models.training.further.material import FurtherOptions
        from ..models.training.further.run import train_further as run
        from ..models.training.plan import Wishes

        options = FurtherOptions(
            checkpoint=given["resume_from"],
            labels=LabelColumns(given["label_column"]),
            texts=TextColumns(given["text_column"], given["text_pair_column"]),
            **{name: given[name] for name in OPTIONS},
            wishes=Wishes(**{name: given[name] for name in WISHES}),
        )
        result = run(options, progress)
    if is_first_process():
        _tell(result)


def _tell(result: FurtherResult) -> None:
    """Raises NestlingError where something became worse, and nothing is written."""
    show(result.judgement)
    worse = ", ".join(f"{each.student} on {each.where}" for each in result.judgement.worse)
    if result.written is None:
        raise NestlingError(
            f"worse beyond noise: {worse}. Nothing is written; --keep-worse writes it without "
            "training again, a smaller --learning-rate or more --data may do better"
        )
    if worse:
        typer.echo(f"Worse beyond noise, and kept because of --keep-worse: {worse}.")
    out = result.written
    typer.echo(
        f"{out}: written, without thresholds, which were those of other weights. Next: nestling "
        f"calibrate {out} --data TEXTS, on texts that had no part in this"
    )


def show(judgement: Judgement) -> None:
    """A table of before and after."""
    from rich.table import Table

    from .console import wide_console

    table = Table(title="On texts that were kept apart")
    named = ("texts", "student", "before", "after", "difference, 95 %", "p of worse", "level", "")
    for column in named:
        table.add_column(column, justify="left" if column in ("texts", "student", "") else "right")
    tested, worse, level = judgement.tested, judgement.worse, f"{judgement.level:.2g}"
    for each in judgement.compared:
        low, high = (100 * end for end in each.interval)
        difference = f"{100 * (each.after - each.before):+.1f} ({low:+.1f} to {high:+.1f})"
        told = (difference, f"{judgement.p_worse(each):.2g}", level)
        table.add_row(
            each.which,
            each.student,
            f"{each.before:.1%}",
            f"{each.after:.1%}",
            *(told if each in tested else ("", "", "")),
            "worse" if each in worse else "",
        )
    wide_console().print(table)
    for where, lost in judgement.blind().items():
        loss = "even the loss of all" if lost is None else f"a loss of fewer than {lost:,} of them"
        typer.echo(f"Too few to tell much: {where}; {loss} would not have been noticed.")


def _check(given: Mapping[str, Any]) -> None:
    if given["resume_from"] is None:
        first = "--traffic" if given["traffic"] is not None else "--keep-worse"
        raise NestlingError(f"{first}: says nothing without --resume-from CHECKPOINT")
    if given["traffic"] is None:
        raise NestlingError("--resume-from: wants --traffic FILE, the texts that it was asked")
    for name, why in REFUSED.items():
        if given[name] is not None:
            flag = "--" + name.replace("_", "-")
            raise NestlingError(f"{flag}: does not go with --resume-from; {why}")
