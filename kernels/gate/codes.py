"""What all gates share: numbers, whatever library computes."""

from __future__ import annotations

from math import log

PROBABILITY, MARGIN, ENTROPY, ENERGY = 0.0, 1.0, 2.0, 3.0
"""What a threshold speaks of, in numbers."""
MARGIN_IN = {"float32": 1e-5, "bfloat16": 1e-2, "float16": 1e-3}
"""Rounding noise of a score, by the dtype in which the student ran."""


def per_surprise(labels: int) -> float:
    """1 / log K; one label alone is always certain."""
    return 1 / log(max(labels, 2))
