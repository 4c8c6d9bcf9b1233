"""Residual add and LayerNorm over each group's own prefix."""

from .reference import grouped_add_norm

__all__ = ["grouped_add_norm"]
