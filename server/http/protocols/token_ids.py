"""Texts that come as token ids: checked before they reach a student."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import Reason, RequestError


def as_integers(values: list[int], field: str) -> NDArray[np.int64]:
    """JSON's integers. Raises RequestError for one beyond INT64."""
    try:
        return np.array(values, np.int64)
    except OverflowError:
        raise RequestError(Reason.OUT_OF_RANGE, "an integer beyond INT64", field) from None


def check_ids(ids: NDArray[np.int64], vocabulary: int, field: str) -> list[int]:
    """One text's token ids. Raises RequestError for the first that is not in the vocabulary."""
    outside = np.flatnonzero((ids < 0) | (ids >= vocabulary))
    if len(outside):
        position = int(outside[0])
        raise RequestError(
            Reason.OUT_OF_RANGE,
            f"token id {ids[position]} at position {position}; ids are below {vocabulary}",
            field,
            limit=vocabulary - 1,
            actual=int(ids[position]),
        )
    found: list[int] = ids.tolist()
    return found
