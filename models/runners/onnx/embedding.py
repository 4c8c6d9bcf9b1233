"""From padded token ids to the first hidden rows, as `models/nested/embedding.py` has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from ...nested.architecture import Architecture
from ...nested.spec import StudentSpec
from .assembly import Assembly
from .names import TOKENS
from .norm import add_and_norm
from .packing import Packing
from .weights import Weights, table, vector


def embed(
    to: Assembly,
    weights: Weights,
    a: Architecture,
    spec: StudentSpec,
    ids: str,
    packing: Packing,
    types: str | None,
) -> str:
    """Token, position and type embeddings, and their norm. Returns (rows, dim).

    ids, types: (batch, length) int64; types where each token's segment is an input, as BERT has it
    elsewhere; there is only one segment.
    """
    positions, segment = table(weights, "positions", spec.dim), vector(weights, "segment", spec.dim)
    if types is None:
        positions = positions + segment  # made here, once
    places = to.constant("embedding.positions", positions)
    x = _rows(to, table(weights, "tokens", spec.dim), packing.ids(ids))
    if types is not None:
        segments = to.constant("embedding.segments", segment[None])
        typed = to.add("Gather", [segments, packing.ids(types)], "types")
        x = to.add("Add", [x, typed], "tokens.typed")
    placed = to.add("Gather", [places, packing.columns], "positions")
    return add_and_norm(to, weights, a, x, placed, "embedding_norm", spec.dim)


def _rows(to: Assembly, tokens: NDArray[np.float32], ids: str) -> str:
    """The table, most of a small model, is as large as in the checkpoint if that is bfloat16."""
    if (tokens.view(np.uint32) & 0xFFFF).any():
        return to.add("Gather", [to.constant(TOKENS, tokens), ids], "tokens")
    rows = to.add("Gather", [to.halves(TOKENS, tokens), ids], "tokens.stored")
    return to.add("Cast", [rows], "tokens", to=TensorProto.FLOAT)
