"""`nestling train --resume-from`: a checkpoint learns from its traffic, or stays as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from ..models.errors import NestlingError

if TYPE_CHECKING:
    from ..models.training.further.comparison import Comparison, Judgement

OPTIONS = frozenset(
    [
        "resume_from",
        "traffic",
        "out",
        "data",
        "validation",
        "text_column",
        "label_column",
        "keep_worse",
        "epochs",
        "batch_size",
        "learning_rate",
        "pool",
        "save_every",
        "seed",
    ]
)
"""Those of `nestling train` that say something here."""


def train_further(context: typer.Context) -> None:
    """What `nestling train` does with --resume-from. context: of that command.

    Raises NestlingError for options that do not go together, and where something became worse.
    """
    given = context.params
    _check(context)
    from .progress import ProgressDisplay

    with ProgressDisplay() as progress:
        progress.step("starting")
        from ..models.training.further.material import FurtherOptions
        from ..models.training.further.run import FURTHER
        from ..models.training.further.run import train_further as run

        numbers = {
            n: given[n] for n in ("epochs", "batch_size", "learning_rate") if n in _set(context)
        }
        others = {n: given[n] for n in ("pool", "seed") if n in _set(context)}
        recipe = replace(FURTHER, joint=replace(FURTHER.joint, **numbers), **others)
        options = FurtherOptions(
            checkpoint=given["resume_from"],
            traffic=given["traffic"],
            out=given["out"],
            data=given["data"],
            validation=given["validation"],
            text_column=given["text_column"],
            label_column=given["label_column"],
            keep_worse=given["keep_worse"],
            save_every=given["save_every"],
        )
        result = run(options, recipe, progress)
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
        f"calibrate {out} --data TEXTS, on texts that neither trained nor judged"
    )


def show(judgement: Judgement) -> None:
    """A table of before and after."""
    from rich.table import Table

    from .console import wide_console

    table = Table(title="On texts that were kept apart")
    for column in ("texts", "student", "before", "after", "difference, 95 %", "p of worse", ""):
        table.add_column(column, justify="left" if column in ("texts", "student", "") else "right")
    worse = judgement.worse
    for each in judgement.compared:
        own = each.student == judgement.ta and each.by_the_ta
        low, high = (100 * end for end in each.interval)
        table.add_row(
            _where(each),
            each.student,
            f"{each.before:.1%}",
            f"{each.after:.1%}",
            "" if own else f"{100 * (each.after - each.before):+.1f} ({low:+.1f} to {high:+.1f})",
            "" if own else f"{each.p_worse():.2g}",
            "worse" if each in worse else "",
        )
    wide_console().print(table)


def _where(each: Comparison) -> str:
    by = ", by the earlier TA's word" if each.by_the_ta else ""
    return f"{each.texts:,} of {each.where}{by}"


def _set(context: typer.Context) -> set[str]:
    """The options that the user has given."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, by in sources.items() if by is not None and by.name != "DEFAULT"}


def _check(context: typer.Context) -> None:
    given = _set(context)
    if context.params["resume_from"] is None:
        first = "--traffic" if context.params["traffic"] is not None else "--keep-worse"
        raise NestlingError(f"{first}: says nothing without --resume-from CHECKPOINT")
    if context.params["traffic"] is None:
        raise NestlingError("--resume-from: wants --traffic FILE, the texts that it was asked")
    if alien := sorted(given - OPTIONS):
        flag = "--" + alien[0].replace("_", "-")
        raise NestlingError(
            f"{flag}: does not go with --resume-from; the checkpoint has teacher, labels and sizes"
        )
