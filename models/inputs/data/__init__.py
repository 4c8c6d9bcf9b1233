"""Texts and labels from files of people: JSON Lines, JSON, CSV, Parquet."""

from .label_columns import LabelColumns
from .labelled import Labelled, read_groups, read_labelled, read_texts
from .text_columns import TextColumns

__all__ = [
    "LabelColumns",
    "Labelled",
    "TextColumns",
    "read_groups",
    "read_labelled",
    "read_texts",
]
