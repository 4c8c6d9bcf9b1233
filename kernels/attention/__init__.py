"""Bidirectional attention within each sequence of a packed batch, over each group's own heads."""

from .reference import grouped_attention

__all__ = ["grouped_attention"]
