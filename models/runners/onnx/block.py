"""One layer of a student alone, as `models/nested/block.py` has it.

The scale of the scores is part of the query weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...nested.architecture import Architecture
from .assembly import Assembly
from .norm import add_and_norm
from .packing import Packing
from .products import Products
from .weights import Weights, matrix, vector


@dataclass(frozen=True)
class Block:
    """A layer, by its index in the TA. dim, heads, ffn: the student's widths in it."""

    to: Assembly
    products: Products
    weights: Weights
    architecture: Architecture
    packing: Packing
    layer: int
    dim: int
    heads: int
    ffn: int

    def whole(self, x: str) -> str:
        """Every token goes on. x: (rows, dim). Returns the same shape."""
        return self._after(x, self._attend(x))

    def last(self, x: str) -> str:
        """Each sequence's first token alone goes on. x: (rows, dim). Returns (batch, dim)."""
        x = self.packing.apart(self.packing.padded(x), self.dim)
        zero = self.to.constant("first", np.array(0, np.int64))
        first = self.to.add("Gather", [x, zero], self._name("first"), axis=1)
        return self._after(first, self._attend_first(first, x))

    def _attend(self, x: str) -> str:
        """Every token asks every token. Returns (rows, inner)."""
        x = self.packing.padded(x)
        asked = [
            self.packing.apart(self._linear(x, part, scale), self._inner)
            for part, scale in (("query", self._scale), ("key", 1.0), ("value", 1.0))
        ]
        attended = self.to.add(
            "Attention",
            [*asked, self.packing.pairs()],
            self._name("attended"),
            q_num_heads=self.heads,
            kv_num_heads=self.heads,
            scale=1.0,
        )
        return self.packing.packed(attended, self._inner)

    def _attend_first(self, first: str, x: str) -> str:
        """The first token alone asks, as `kernels.pooled_attention` computes it.

        first: (batch, dim). x: (batch, length, dim). Returns (batch, inner).
        """
        to, packing = self.to, self.packing
        query = self._linear(first, "query", self._scale)
        shape = to.integers(-1, self.heads, self.architecture.head_dim)
        query = self._turn(to.add("Reshape", [query, shape], self._name("query.heads")))
        asked = to.add("MatMul", [query, self._by_head("key")], self._name("asked"))
        turned = self._turn(x, [0, 2, 1])
        scores = to.add("MatMul", [self._turn(asked), turned], self._name("scores"))
        scores = to.add("Add", [scores, packing.bias], self._name("scores.real"))
        weights = to.add("Softmax", [scores], self._name("weights"), axis=-1)
        mixed = to.add("MatMul", [weights, x], self._name("mixed"))
        values = [self._turn(mixed), self._by_head("value")]
        value = self._turn(to.add("MatMul", values, self._name("value.heads")))
        value = to.add("Reshape", [value, to.integers(-1, self._inner)], self._name("value.flat"))
        return self._biased(value, "value")

    def _after(self, x: str, attended: str) -> str:
        """What follows attention. x: (rows, dim). attended: (rows, inner)."""
        x = self._norm(x, self._linear(attended, "output"), "attention_norm")
        neurons = self._activate(self._linear(x, "up"))
        return self._norm(x, self._linear(neurons, "down"), "ffn_norm")

    def _linear(self, x: str, part: str, scale: float = 1.0) -> str:
        """x · W + b, times a scale. x: (rows, inputs). Returns (rows, outputs)."""
        name, (outputs, inputs) = self._name(f"{part}.weight"), self._shape(part)
        weight = matrix(self.weights, name, outputs, inputs) * np.float32(scale)
        product = self.products.multiply(x, weight, name)
        return self._biased(product, part, scale)

    def _biased(self, product: str, part: str, scale: float = 1.0) -> str:
        name = self._name(f"{part}.bias")
        bias = vector(self.weights, name, self._shape(part)[0]) * np.float32(scale)
        return self.to.add("Add", [product, self.to.constant(name, bias)], self._name(part))

    def _activate(self, x: str) -> str:
        to, name = self.to, self._name("neurons")
        match self.architecture.activation:
            case "gelu":
                return to.add("Gelu", [x], name)
            case "gelu_tanh":
                return to.add("Gelu", [x], name, approximate="tanh")
            case "relu":
                return to.add("Relu", [x], name)
            case "silu":
                return to.fused("QuickGelu", [x], name, alpha=1.0)
            case other:
                raise ValueError(f"activation: {other!r} has no graph")

    def _norm(self, x: str, more: str, norm: str) -> str:
        return add_and_norm(
            self.to, self.weights, self.architecture, x, more, self._name(norm), self.dim
        )

    def _by_head(self, part: str) -> str:
        """Keys' or values' weights as a stack: (heads, head_dim, dim), (heads, dim, head_dim)."""
        name = self._name(f"{part}.weight")
        stack = matrix(self.weights, name, self._inner, self.dim).reshape(self.dim, self.heads, -1)
        axes = (1, 2, 0) if part == "key" else (1, 0, 2)
        return self.to.constant(name, stack.transpose(axes))

    def _turn(self, x: str, axes: Sequence[int] = (1, 0, 2)) -> str:
        return self.to.add("Transpose", [x], f"{x}.turned.{self.layer}", perm=axes)

    def _shape(self, part: str) -> tuple[int, int]:
        """Outputs and inputs of a linear layer."""
        return {
            "output": (self.dim, self._inner),
            "up": (self.ffn, self.dim),
            "down": (self.dim, self.ffn),
        }.get(part, (self._inner, self.dim))

    @property
    def _inner(self) -> int:
        return self.heads * self.architecture.head_dim

    @property
    def _scale(self) -> float:
        return float(self.architecture.head_dim**-0.5)

    def _name(self, part: str) -> str:
        """Of a weight of this layer, and of what is computed with it."""
        return f"layers.{self.layer}.{part}"
