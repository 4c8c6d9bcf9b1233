"""Residual add and LayerNorm over each group's own prefix."""

from .reference import norm

__all__ = ["norm"]
