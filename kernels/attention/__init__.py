"""Bidirectional attention within each sequence of a packed batch, over each group's own heads."""

from .reference import attention

__all__ = ["attention"]
