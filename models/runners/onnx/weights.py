"""Slices of the TA's weights as a graph holds them: float32, transposed where a product reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[Any]]
"""The TA's weights at full size by their names in `model.safetensors`, of any floating dtype."""


def vector(weights: Weights, name: str, width: int) -> NDArray[np.float32]:
    """The leading numbers of a bias, a norm's scale or shift: (width,)."""
    return _float(weights[name][:width])


def table(weights: Weights, name: str, width: int) -> NDArray[np.float32]:
    """The leading columns of an embedding: (all rows, width)."""
    return _float(weights[name][:, :width])


def matrix(weights: Weights, name: str, outputs: int, inputs: int) -> NDArray[np.float32]:
    """The leading part of a linear layer's (outputs, inputs), transposed: (inputs, outputs)."""
    return _float(weights[name][:outputs, :inputs].T)


def _float(part: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(part, np.float32)
