"""A data set as training reads it: unpacked."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

from nestling.models.checkpoint.integrity import replace_text
from nestling.models.errors import DataError


@dataclass(frozen=True)
class SetFiles:
    """JSON Lines files with `text` and `label`."""

    train: Path
    test: Path

    @classmethod
    def of(cls, source: Path, work: Path) -> SetFiles:
        """Those in `source`, `.jsonl` or `.jsonl.xz`, copied to `work`.

        Raises DataError where one is missing.
        """
        train, test = _lines(source, "train"), _lines(source, "test")
        if not train or not test:
            raise DataError(f"{source}: needs train.jsonl and test.jsonl, or both with .xz")
        work.mkdir(parents=True, exist_ok=True)
        return cls(_written(work / "train.jsonl", train), _written(work / "test.jsonl", test))


def _lines(source: Path, part: str) -> list[str]:
    """Of a file; none where there is no such file. A text may have other separators inside."""
    plain, packed = source / f"{part}.jsonl", source / f"{part}.jsonl.xz"
    if plain.exists():
        return plain.read_text("utf-8").strip("\n").split("\n")
    if packed.exists():
        with lzma.open(packed, "rt", encoding="utf-8") as file:
            return file.read().strip("\n").split("\n")
    return []


def _written(path: Path, lines: list[str]) -> Path:
    replace_text(path, "".join(f"{line}\n" for line in lines))
    return path
