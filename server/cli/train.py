"""`nestling train`."""

from __future__ import annotations


def train() -> None:
    """Train a TA and its students from a teacher."""
    raise NotImplementedError
