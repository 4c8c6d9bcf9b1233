"""Texts that are alike in length go together: none is padded much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Rows by their length, in batches of at most so many tokens (one row at least)."""
    rows: list[int] = []
    total = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if rows and total + lengths[row] > tokens:
            yield rows
            rows, total = [], 0
        rows.append(row)
        total += lengths[row]
    if rows:
        yield rows
