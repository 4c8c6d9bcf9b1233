"""StudentSpec: which part of the TA a student is, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .architecture import Architecture


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of a forward, as a polynomial in a sequence's length n.

    flops(n) = sequence + token · n + pair · n². A multiply-add counts as two. The classifier
    reads the first token alone, so in a student's last layer queries, projections and FFN are
    paid once per sequence, keys and values included (see `kernels.pooled_attention`).
    """

    sequence: float
    token: float
    pair: float

    def of(self, length: float) -> float:
        """FLOPs of one sequence of `length` tokens."""
        return self.sequence + self.token * length + self.pair * length * length

    def total(self, lengths: Sequence[int]) -> float:
        """FLOPs of many sequences."""
        return sum(self.of(length) for length in lengths)


@dataclass(frozen=True)
class StudentSpec:
    """A student: some layers of the TA, a prefix of each width.

    layers: indices of the TA's layers, increasing. dim: prefix of the model dimension.
    attention_heads, ffn: for each kept layer, prefix of its heads and of its FFN neurons.
    """

    layers: tuple[int, ...]
    dim: int
    attention_heads: tuple[int, ...]
    ffn: tuple[int, ...]

    @classmethod
    def full(cls, architecture: Architecture) -> StudentSpec:
        """The TA itself, the largest student."""
        count = architecture.layers
        return cls(
            layers=tuple(range(count)),
            dim=architecture.dim,
            attention_heads=(architecture.attention_heads,) * count,
            ffn=(architecture.ffn,) * count,
        )

    def validate(self, architecture: Architecture) -> StudentSpec:
        """Return self, or raise ValueError that names the field, its value and the limit."""
        if not self.layers:
            raise ValueError("layers: a student needs at least one layer")
        if list(self.layers) != sorted(set(self.layers)):
            raise ValueError(f"layers: {list(self.layers)} is not strictly increasing")
        for layer in self.layers:
            _check("layers", layer, 0, architecture.layers - 1)
        _check("dim", self.dim, 1, architecture.dim)
        for name, widths, limit in (
            ("attention_heads", self.attention_heads, architecture.attention_heads),
            ("ffn", self.ffn, architecture.ffn),
        ):
            if len(widths) != len(self.layers):
                raise ValueError(
                    f"{name}: {len(widths)} widths for {len(self.layers)} layers; one each"
                )
            for width in widths:
                _check(name, width, 1, limit)
        return self

    def flops(self, architecture: Architecture) -> Flops:
        """Projections, attention, FFN, pooler and classifier; embeddings are look-ups."""
        sequence = 2.0 * self.dim * (self.dim + len(architecture.head().labels))
        token = pair = 0.0
        *inner, last = zip(self.attention_heads, self.ffn, strict=True)
        for heads, ffn in inner:
            width = heads * architecture.head_dim
            token += 8.0 * self.dim * width + 4.0 * self.dim * ffn
            pair += 4.0 * width  # scores and weighted sum, per query and key
        heads, ffn = last
        sequence += 8.0 * self.dim * heads * architecture.head_dim + 4.0 * self.dim * ffn
        token += 4.0 * self.dim * heads
        return Flops(sequence, token, pair)

    def parameters(self, architecture: Architecture) -> int:
        """Numbers that this student reads, embeddings included."""
        d, a = self.dim, architecture
        total = (a.vocabulary + a.max_tokens + a.token_types) * d + 2 * d  # the last: norm
        for heads, ffn in zip(self.attention_heads, self.ffn, strict=True):
            width = heads * a.head_dim
            total += 4 * d * width + 3 * width + d  # q, k, v, output and their biases
            total += 2 * d * ffn + ffn + d
            total += 4 * d  # two norms
        return total + sum(d * d + d + (d + 1) * len(head.labels) for head in a.heads)

    def to_json(self) -> dict[str, Any]:
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StudentSpec:
        """Raises ValueError that names a missing or mistyped field."""
        try:
            layers, dim = tuple(data["layers"]), data["dim"]
            heads, ffn = tuple(data["attention_heads"]), tuple(data["ffn"])
        except KeyError as missing:
            raise ValueError(f"{missing.args[0]}: missing") from None
        except TypeError:
            raise ValueError(
                "layers, attention_heads, ffn: expected lists of whole numbers"
            ) from None
        fields = {"layers": layers, "dim": (dim,), "attention_heads": heads, "ffn": ffn}
        for name, values in fields.items():
            if not all(type(value) is int for value in values):
                raise ValueError(f"{name}: {list(values)} holds something else than whole numbers")
        return cls(layers, dim, heads, ffn)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _check(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{field}: {value} is outside {low} to {high}")
