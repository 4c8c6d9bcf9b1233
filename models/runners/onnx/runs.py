"""Which sequences of a group go through a graph together, and a graph's inputs for them.

What lies between two operations of a run should lie in the cache of its core: a TA's 256 texts in
one run take up to twice as long as in many small ones. Sequences about as long as each other go
together, so that a long one does not pad all others to its length.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...nested.architecture import Architecture
from ...nested.spec import StudentSpec
from .names import INPUTS

CACHE = 2**20
"""Bytes between two operations: cores of today's servers have 1 or 2 MiB of their own."""
MOST_PADDING = 2
"""By how much padding may multiply the tokens of a run."""


def places_at_once(spec: StudentSpec, architecture: Architecture) -> int:
    """Places of a padded run, texts times the longest's tokens, whose widest layer fits the cache.

    In its last layer a student goes on with one token of each text, which is little.
    """
    inner = zip(spec.attention_heads[:-1], spec.ffn[:-1], strict=True)
    projected = 3 * architecture.head_dim  # queries, keys and values
    widest = max(spec.dim, *(max(heads * projected, ffn) for heads, ffn in inner), 0)
    return max(1, CACHE // (widest * np.dtype(np.float32).itemsize))


def runs(lengths: NDArray[np.int64], most: int) -> list[NDArray[np.int64]]:
    """Sequences by their place in the group, a part of them for each run.

    lengths: (sequences,), at least 1 each. most: places of a run, unless it is a single sequence.
    """
    count = len(lengths)
    if count * int(lengths.max()) <= min(most, MOST_PADDING * int(lengths.sum())):
        return [np.arange(count)]
    order = np.argsort(-lengths, kind="stable")
    tokens = np.cumsum(lengths[order])
    parts, first = [], 0
    while first < count:
        longest, before = int(lengths[order[first]]), tokens[first - 1] if first else 0
        last = min(count, first + max(1, most // longest))
        places = longest * np.arange(1, last - first + 1)
        wasted = places > MOST_PADDING * (tokens[first:last] - before)
        last = first + int(wasted.argmax()) if wasted.any() else last
        parts.append(order[first:last])
        first = last
    return parts


def padded(
    tokens: NDArray[np.int64], lengths: NDArray[np.int64], most: int
) -> Iterator[tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]]:
    """For each run its sequences, by their place in the group, and a graph's inputs for them.

    tokens: (rows,), all sequences end to end. Padding has ids of neighbours, which the mask hides.
    """
    starts = np.cumsum(lengths) - lengths
    for places in runs(lengths, most):
        own = lengths[places][:, None]
        columns = np.arange(own.max())
        ids = tokens.take(starts[places][:, None] + columns, mode="clip")
        yield places, dict(zip(INPUTS, (ids, (columns < own).astype(np.int64)), strict=True))
