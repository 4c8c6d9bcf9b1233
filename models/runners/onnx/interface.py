"""What a graph is asked for and goes by, known without the package `onnx`."""

from __future__ import annotations

from ...errors import NestlingError
from ...precision import Precision

GRAPH_PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
"""In which a graph may compute."""
INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
TYPED_INPUTS = (*INPUTS, "token_type_ids")
TOKENS = "embedding.tokens"
"""What the table of token embeddings is called inside a graph."""


def check_precision(precision: str) -> None:
    """Raises NestlingError for one that no graph computes in."""
    if precision not in GRAPH_PRECISIONS:
        raise NestlingError(f"precision: {precision!r} is none of {', '.join(GRAPH_PRECISIONS)}")
