"""What goes into a graph and comes out of it, by name: all that who runs one has to know."""

from __future__ import annotations

INPUTS = ("input_ids", "attention_mask")
TYPED_INPUTS = (*INPUTS, "token_type_ids")
OUTPUT, POOLED = "logits", "pooled"
"""The answer, and the hidden state that the classifier reads."""
TOKENS = "embedding.tokens"
"""What the table of token embeddings is called inside a graph."""


def graph_file(student: str) -> str:
    """What the graph of a student is called in its folder."""
    return f"{student}.onnx"
