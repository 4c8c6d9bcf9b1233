"""Rows to token ids, as the server makes them: what cannot be answered is told, not dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..checkpoint.manifest import Manifest
from ..inputs.data.text_columns import TextColumns
from ..inputs.text import Text, beginning, joined
from ..inputs.tokenizer import CHARACTERS_PER_TOKEN
from .formats.rows import Row


class RowEncoder:
    """Token ids of what the rows hold: of one text each, or of a pair.

    truncate: cut a too long text to its beginning.
    """

    def __init__(self, manifest: Manifest, columns: TextColumns, truncate: bool) -> None:
        self._tokenizer, self._columns, self._truncate = manifest.tokenizer, columns, truncate
        self._limit = manifest.architecture.max_tokens
        self._max_chars = CHARACTERS_PER_TOKEN * self._limit

    def encode(self, rows: Iterable[Row]) -> tuple[list[int], list[list[int]], dict[int, str]]:
        """The places of the rows that can be answered, their token ids, and by its place what is
        wrong with each of the others.
        """
        faults: dict[int, str] = {}
        places: list[int] = []
        texts: list[Text] = []
        for place, row in enumerate(rows):
            fault = self._columns.fault_in(row) or self._too_long(row)
            if fault is not None:
                faults[place] = fault
                continue
            text = joined(str(row[name]) for name in self._columns.needed)
            places.append(place)
            texts.append(beginning(text, self._max_chars))
        if self._truncate:
            encoded = self._tokenizer.encode_truncated(texts, self._limit)
        else:
            encoded = self._tokenizer.encode(texts)
        kept: list[int] = []
        sequences: list[list[int]] = []
        for place, ids in zip(places, encoded, strict=True):
            if fault := self._fault_of(ids):
                faults[place] = fault
            else:
                kept.append(place)
                sequences.append(ids)
        return kept, sequences, faults

    def _too_long(self, row: Row) -> str | None:
        """The first column with more characters than are looked at, unless those are to be cut."""
        if self._truncate:
            return None
        for name in self._columns.needed:
            length = len(str(row[name]))
            if length > self._max_chars:
                return f"{name} has {length:,} characters; the limit is {self._max_chars:,}"
        return None

    def _fault_of(self, ids: Sequence[int]) -> str | None:
        """What is wrong with the tokens of a text, or of a pair."""
        said = " and ".join(self._columns.needed)
        pairs = self._columns.pairs
        if self._tokenizer.is_empty(ids):
            are, of = ("are", "them") if pairs else ("is", "it")
            return f"{said} {are} empty: the tokenizer leaves nothing of {of}"
        if len(ids) > self._limit:
            have = "together have" if pairs else "has"
            return f"{said} {have} {len(ids):,} tokens; the limit is {self._limit:,}"
        return None
