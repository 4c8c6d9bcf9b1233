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
    elsewhere. Else, of two types, the second is that of ids beyond the vocabulary.
    """
    positions, tokens = table(weights, "positions", spec.dim), table(weights, "tokens", spec.dim)
    packed = packing.ids(ids)
    if a.token_types == 1:
        segments = vector(weights, "segment", spec.dim)[None]
    else:
        segments = table(weights, "segment", spec.dim)
    typed = None if types is None else packing.ids(types)
    if typed is None and a.token_types == 1:
        positions = positions + segments  # made here, once
    elif typed is None:
        vocabulary = to.integers(a.vocabulary)
        typed = to.add("Div", [packed, vocabulary], "types.own")
        packed = to.add("Mod", [packed, vocabulary], "ids.own")
    places = to.constant("embedding.positions", positions)
    x = _rows(to, tokens, packed)
    if typed is not None:
        of_type = to.add("Gather", [to.constant("embedding.segments", segments), typed], "types")
        x = to.add("Add", [x, of_type], "tokens.typed")
    placed = to.add("Gather", [places, packing.columns], "positions")
    return add_and_norm(to, weights, a, x, placed, "embedding_norm", spec.dim)


def _rows(to: Assembly, tokens: NDArray[np.float32], ids: str) -> str:
    """The table, most of a small model, is as large as in the checkpoint if that is bfloat16."""
    if (tokens.view(np.uint32) & 0xFFFF).any():
        return to.add("Gather", [to.constant(TOKENS, tokens), ids], "tokens")
    rows = to.add("Gather", [to.halves(TOKENS, tokens), ids], "tokens.stored")
    return to.add("Cast", [rows], "tokens", to=TensorProto.FLOAT)
