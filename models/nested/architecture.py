"""What the teaching assistant (TA) is: family and widths at full size."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from ..limits import distinct_names, number_between, whole_number

SIZES = ("vocabulary", "dim", "layers", "heads", "head_dim", "ffn", "max_tokens")


@dataclass(frozen=True)
class Architecture:
    """A post-norm bidirectional encoder with a classifier on the first token.

    family: name of the module in `families` that maps it to and from Hugging Face.
    dim: model dimension. heads, ffn: per layer. max_tokens: longest input, special tokens
    included. activation: of the FFN, a name in `kernels.ACTIVATIONS`.
    labels: names of the classes, in the order of the logits.
    """

    family: str
    vocabulary: int
    dim: int
    layers: int
    heads: int
    head_dim: int
    ffn: int
    max_tokens: int
    activation: str
    norm_eps: float
    labels: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"labels": list(self.labels)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Architecture:
        """Raises ValueError that names a field: missing, unknown, or of a value that cannot be."""
        known = {f.name for f in fields(cls)}
        if missing := sorted(known - data.keys()):
            raise ValueError(f"architecture: missing {', '.join(missing)}")
        if unknown := sorted(data.keys() - known):
            raise ValueError(f"architecture: unknown {', '.join(unknown)}")
        for name in SIZES:
            whole_number(data[name], f"architecture: {name}")
        number_between(0.0, 1.0, data["norm_eps"], "architecture: norm_eps")
        labels = distinct_names(data["labels"], "architecture: labels")
        return cls(**data | {"labels": labels})
