"""What the teaching assistant (TA) is: family, widths at full size, and heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from ..limits import number_between, whole_number
from .head_spec import HeadSpec

SIZES = ("vocabulary", "dim", "layers", "attention_heads", "head_dim", "ffn", "max_tokens",
         "token_types")  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """A post-norm bidirectional encoder, and the heads that read it.

    family: name of the module in `families` that maps it to and from Hugging Face.
    dim: model dimension. attention_heads, ffn: per layer. max_tokens: longest input, special tokens
    included. activation: of the FFN, a name in `kernels.ACTIVATIONS`. heads: one at least; the
    first answers where nobody names one. token_types: 2 where the second text of a pair has a type
    of its own, which is added to its tokens; their ids are raised by `vocabulary`.
    """

    family: str
    vocabulary: int
    dim: int
    layers: int
    attention_heads: int
    head_dim: int
    ffn: int
    max_tokens: int
    activation: str
    norm_eps: float
    heads: tuple[HeadSpec, ...]
    token_types: int = 1

    def head(self, name: str | None = None) -> HeadSpec:
        """By its name; the first without one. Raises ValueError that lists the known."""
        if name is None:
            return self.heads[0]
        for head in self.heads:
            if head.name == name:
                return head
        known = ", ".join(head.name for head in self.heads)
        raise ValueError(f"head: {name!r:.80} is none of {known}")

    @property
    def ids(self) -> int:
        """How many token ids there are, with those of a second text."""
        return self.vocabulary * self.token_types

    @property
    def second_from(self) -> int:
        """What the ids of a pair's second text are raised by."""
        return self.vocabulary if self.token_types > 1 else 0

    def to_json(self) -> dict[str, Any]:
        """The trunk; `heads_to_json` has the rest."""
        return {field.name: getattr(self, field.name) for field in _trunk()}

    def heads_to_json(self) -> dict[str, Any]:
        """The heads, by name."""
        return {head.name: head.to_json() for head in self.heads}

    @classmethod
    def from_json(cls, trunk: Mapping[str, Any], heads: Mapping[str, Any]) -> Architecture:
        """Raises ValueError that names a field: missing, unknown, or of a value that cannot be."""
        trunk = {"token_types": 1, **trunk}  # what reads no pairs may leave it out
        known = {field.name for field in _trunk()}
        if missing := sorted(known - trunk.keys()):
            raise ValueError(f"architecture: missing {', '.join(missing)}")
        if unknown := sorted(trunk.keys() - known):
            raise ValueError(f"architecture: unknown {', '.join(unknown)}")
        for name in SIZES:
            whole_number(trunk[name], f"architecture: {name}")
        number_between(0.0, 1.0, trunk["norm_eps"], "architecture: norm_eps")
        if not isinstance(heads, Mapping) or not heads:
            raise ValueError("heads: is no object of one head or more")
        return cls(**trunk, heads=tuple(HeadSpec.from_json(*head) for head in heads.items()))


def _trunk() -> list[Field[Any]]:
    return [field for field in fields(Architecture) if field.name != "heads"]
