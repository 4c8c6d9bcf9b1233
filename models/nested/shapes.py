"""Which weights a TA has, by the names that checkpoints store them under."""

from __future__ import annotations

from .architecture import Architecture


def weight_shapes(a: Architecture) -> dict[str, tuple[int, ...]]:
    """The shape of every weight. `NestedTransformer` has the same ones as tensors.

    A linear layer's weight is (outputs, inputs), a norm's (dim,).
    """
    inner = a.attention_heads * a.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        "tokens": (a.vocabulary, a.dim),
        "positions": (a.max_tokens, a.dim),
        "segment": (a.dim,) if a.token_types == 1 else (a.token_types, a.dim),
        **_part("embedding_norm", a.dim),
    }
    for layer in range(a.layers):
        for name, shape in (
            ("query", (inner, a.dim)),
            ("key", (inner, a.dim)),
            ("value", (inner, a.dim)),
            ("output", (a.dim, inner)),
            ("attention_norm", (a.dim,)),
            ("up", (a.ffn, a.dim)),
            ("down", (a.dim, a.ffn)),
            ("ffn_norm", (a.dim,)),
        ):
            shapes |= _part(f"layers.{layer}.{name}", *shape)
    for head in a.heads:
        shapes |= _part(head_weight(head.name, "pooler"), a.dim, a.dim)
        shapes |= _part(head_weight(head.name, "classifier"), len(head.labels), a.dim)
    return shapes


def head_weight(head: str, part: str) -> str:
    """What a part of a head is called."""
    return f"heads.{head}.{part}"


def _part(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    """A layer's weight, and its bias: a number for each output."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
