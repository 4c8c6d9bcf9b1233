"""Products with weights in 8-bit integers, each row by a scale of its own.

For a row x (inputs,) and a matrix W (inputs, outputs), with one scale a per row and one b per
output,

    a = max|x| / 127    q = round(x / a) + 128         uint8, found anew for each row
    b = max|W| / 64     R = round(W / b)               int8, stored: seven of its bits
    x · W  ≈  a b · Σ (q − 128) R

Processors without VNNI add two products in 16 bits, and what is beyond them is cut off: 2 · 255 ·
127 = 64,770 is, 2 · 255 · 64 = 32,640 is not. So Σ is exact on all of them, and the same.

ONNX Runtime's own dynamic quantisation has one scale for a whole batch, padding included: there a
text's confidence moves by up to 0.2 with its neighbours. Here it depends on them only as in
float32, by the order of sums; rarely that moves a number across a boundary of `round`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...precision import WEIGHT_LEVELS
from .assembly import Assembly

LEVELS, CENTRE = 127, 128
LEAST = 1e-20
"""Of a maximum: what is all zeros has a scale too."""


class IntegerProducts:
    """Each product of a graph in integers; rows that several of them read are rounded once."""

    def __init__(self, assembly: Assembly) -> None:
        self._to = assembly
        self._rounded: dict[str, tuple[str, str]] = {}

    def multiply(self, x: str, weight: NDArray[np.float32], name: str) -> str:
        """As `Products` has it."""
        to = self._to
        if x not in self._rounded:
            self._rounded[x] = self._round(x, len(weight))
        rows, steps = self._rounded[x]
        integers, scale = round_weight(weight)
        inputs = [
            rows,
            to.constant(f"{name}.int8", integers),
            to.constant("one", np.array(1, np.float32)),
            to.constant(f"{name}.scale", scale),
            to.constant("centre", np.array(CENTRE, np.uint8)),
        ]
        by_output = to.fused("MatMulIntegerToFloat", inputs, f"{name}.by_output")
        return to.add("Mul", [by_output, steps], f"{name}.product")

    def _round(self, x: str, width: int) -> tuple[str, str]:
        """x, which is (rows, width), in integers; and the step of each row: (rows, 1)."""
        to = self._to
        size = to.add("Abs", [x], f"{x}.size")
        largest = to.add("ReduceMax", [size, to.integers(-1)], f"{x}.largest", keepdims=1)
        least = to.constant("least", np.array(LEAST, np.float32))
        extent = to.add("Max", [largest, least], f"{x}.range")
        level = to.constant("level", np.array(1 / LEVELS, np.float32))
        steps = to.add("Mul", [extent, level], f"{x}.steps")
        # A row is a block: that is quicker by half than to multiply, to shift and to cast.
        rows = to.add("Shape", [steps], f"{x}.count")
        centres = to.constant("centres", np.array([[CENTRE]], np.uint8))
        zero = to.add("Expand", [centres, rows], f"{x}.zero")
        inputs = [x, steps, zero]
        return to.add("QuantizeLinear", inputs, f"{x}.rows", axis=1, block_size=width), steps


def round_weight(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """weight: (inputs, outputs). Returns the same in int8, and (outputs,) scales."""
    largest = np.maximum(np.abs(weight).max(axis=0), np.float32(LEAST))
    scale = (largest / WEIGHT_LEVELS).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale
