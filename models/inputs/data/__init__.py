"""Texts and labels from files of people: JSON Lines, JSON, CSV, Parquet."""

from .labelled import Labelled, label_indices, read_groups, read_labelled, read_texts

__all__ = ["Labelled", "label_indices", "read_groups", "read_labelled", "read_texts"]
