"""Where the tokens stand: products and norms run on packed rows, attention on padded ones."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .assembly import Assembly

LOWEST = np.finfo(np.float32).min
"""Added to the score of padding: not −∞, whose sums can be NaN."""


class Packing:
    """Of one batch, from its attention mask.

    columns: (rows,) int64, each token's place in its sequence. bias: (batch, 1, length), what
    attention adds to the scores. Below, places are those of the padded batch, batch · length.
    """

    def __init__(self, to: Assembly, mask: str) -> None:
        """mask: (batch, length) int64, 1 on tokens, of which each sequence has one."""
        self._to = to
        flat = to.add("Reshape", [mask, to.integers(-1)], "mask.flat")
        found = to.add("NonZero", [flat], "mask.found")
        # Of each token, its place in the padded batch, counted through.
        self._packed = to.add("Reshape", [found, to.integers(-1)], "packed")
        self._length = to.add("Shape", [mask], "length", start=1)
        self._shape = to.add("Shape", [mask], "shape")
        self.columns = to.add("Mod", [self._packed, self._length], "columns")
        # Of each place, its row; padding has the row before it, so that what is there is finite.
        counted = to.add("CumSum", [flat, to.integers(0)], "mask.counted")
        self._padded = to.add("Sub", [counted, to.integers(1)], "padded")
        real = to.add("Cast", [mask], "mask.real", to=TensorProto.BOOL)
        zero = to.constant("zero", np.array(0, np.float32))
        lowest = to.constant("lowest", np.array(LOWEST, np.float32))
        bias = to.add("Where", [real, zero, lowest], "mask.bias")
        self.bias = to.add("Unsqueeze", [bias, to.integers(1)], "bias")

    def ids(self, x: str) -> str:
        """x: (batch, length) int64. Returns (rows,)."""
        return self._rows_of(self._to.add("Reshape", [x, self._to.integers(-1)], f"{x}.flat"))

    def padded(self, x: str) -> str:
        """x: (rows, n). Returns (places, n)."""
        return self._to.add("Gather", [x, self._padded], f"{x}.padded")

    def packed(self, x: str, width: int) -> str:
        """x: (batch, length, width). Returns (rows, width)."""
        shape = self._to.integers(-1, width)
        return self._rows_of(self._to.add("Reshape", [x, shape], f"{x}.flat"))

    def apart(self, x: str, width: int) -> str:
        """x: (places, width). Returns (batch, length, width)."""
        to = self._to
        shape = to.once("Concat", [self._shape, to.integers(width)], f"shape.{width}", axis=0)
        return to.add("Reshape", [x, shape], f"{x}.apart")

    def pairs(self) -> str:
        """The bias for every token that asks: (batch, 1, length, length)."""
        to = self._to
        one = to.integers(1)
        shape = to.once("Concat", [one, one, self._length, one], "shape.pairs", axis=0)
        bias = to.once("Unsqueeze", [self.bias, to.integers(1)], "bias.each")
        return to.once("Expand", [bias, shape], "bias.pairs")

    def _rows_of(self, x: str) -> str:
        return self._to.add("Gather", [x, self._packed], f"{x}.packed")
