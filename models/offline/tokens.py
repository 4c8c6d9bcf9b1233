"""Cells to token ids, as the server makes them: what cannot be answered is told, not dropped."""

from __future__ import annotations

from collections.abc import Sequence

from ..checkpoint.manifest import Manifest
from ..inputs.data.cells import fault_of
from ..inputs.tokenizer import CHARACTERS_PER_TOKEN


class CellEncoder:
    """Token ids of the cells of one column.

    truncate: cut a too long text to its beginning.
    """

    def __init__(self, manifest: Manifest, column: str, truncate: bool) -> None:
        self._tokenizer, self._column, self._truncate = manifest.tokenizer, column, truncate
        self._limit = manifest.architecture.max_tokens
        self._max_chars = CHARACTERS_PER_TOKEN * self._limit

    def encode(self, cells: Sequence[object]) -> tuple[list[int], list[list[int]], dict[int, str]]:
        """The places of the cells that can be answered, their token ids, and by its place what is
        wrong with each of the others.
        """
        faults: dict[int, str] = {}
        places: list[int] = []
        texts: list[str] = []
        for place, cell in enumerate(cells):
            fault = fault_of(cell)
            if fault is None and isinstance(cell, str):
                if len(cell) > self._max_chars and not self._truncate:
                    fault = f"has {len(cell):,} characters; the limit is {self._max_chars:,}"
                else:
                    places.append(place)
                    texts.append(cell[: self._max_chars])
                    continue
            faults[place] = f"{self._column} {fault}"
        if self._truncate:
            encoded = self._tokenizer.encode_truncated(texts, self._limit)
        else:
            encoded = self._tokenizer.encode(texts)
        kept: list[int] = []
        sequences: list[list[int]] = []
        for place, ids in zip(places, encoded, strict=True):
            if self._tokenizer.is_empty(ids):
                faults[place] = f"{self._column} is empty: the tokenizer leaves nothing of it"
            elif len(ids) > self._limit:
                faults[place] = (
                    f"{self._column} has {len(ids):,} tokens; the limit is {self._limit:,}"
                )
            else:
                kept.append(place)
                sequences.append(ids)
        return kept, sequences, faults
