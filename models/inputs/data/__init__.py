"""Texts and labels from files of people: JSON Lines, JSON, CSV, Parquet."""

from .labelled import Labelled, label_indices, read_groups, read_labelled, read_texts
from .text_columns import TextColumns

__all__ = [
    "Labelled",
    "TextColumns",
    "label_indices",
    "read_groups",
    "read_labelled",
    "read_texts",
]
