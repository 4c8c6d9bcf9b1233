"""Products with a matrix of weights, in the precision of a graph."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...precision import Precision
from .assembly import Assembly
from .quantize import IntegerProducts


class Products(Protocol):
    """How a graph multiplies."""

    def multiply(self, x: str, weight: NDArray[np.float32], name: str) -> str:
        """x · weight. x: (rows, inputs) float32. weight: (inputs, outputs).

        name: of the matrix.
        """


class FloatProducts:
    """In float32."""

    def __init__(self, assembly: Assembly) -> None:
        self._to = assembly

    def multiply(self, x: str, weight: NDArray[np.float32], name: str) -> str:
        """As `Products` has it."""
        return self._to.add("MatMul", [x, self._to.constant(name, weight)], f"{name}.product")


def products(assembly: Assembly, precision: Precision) -> Products:
    """Those of a precision that graphs compute in."""
    return IntegerProducts(assembly) if precision == "int8" else FloatProducts(assembly)
