"""Which columns of a file hold what, as options of the commands that read files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..models.checkpoint.manifest import Manifest
    from ..models.inputs.data import LabelColumns, TextColumns

TextColumn = Annotated[str, typer.Option(help="Column that holds the text.")]
PairColumn = Annotated[
    str, typer.Option(help="Column that holds the second text of each pair, if there are pairs.")
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        help="Column that holds the label, or the labels.",
        show_default="label; labels where a text has several",
    ),
]
TEXT, PAIR = "text", "text_pair"


def columns_for(manifest: Manifest, text: str, pair: str) -> TextColumns:
    """Where a file has what this checkpoint is asked about."""
    from ..models.inputs.data import TextColumns

    return TextColumns(text, pair, manifest.architecture.head().inputs == "pair")


def labels_for(manifest: Manifest, column: str | None) -> LabelColumns:
    """Where a file has the labels that this checkpoint answers."""
    from ..models.inputs.data import LabelColumns

    return LabelColumns(column, manifest.architecture.head().task)
