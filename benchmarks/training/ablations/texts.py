"""A data set as training reads it: unpacked, with a validation part where none stands."""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nestling.models.checkpoint.integrity import replace_text
from nestling.models.errors import DataError

VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class SetFiles:
    """JSON Lines files with `text` and `label`."""

    train: Path
    validation: Path
    test: Path

    @classmethod
    def of(cls, source: Path, work: Path) -> SetFiles:
        """Those in `source`, `.jsonl` or `.jsonl.xz`, copied to `work`.

        Without a validation file a tenth of the training texts is one, drawn by seed 0. Raises
        DataError where a training or test file is missing.
        """
        train, test = _lines(source, "train"), _lines(source, "test")
        if not train or not test:
            raise DataError(f"{source}: needs train.jsonl and test.jsonl, or both with .xz")
        validation = _lines(source, "validation")
        if not validation:
            order = np.random.default_rng(0).permutation(len(train)).tolist()
            cut = round(VALIDATION_SHARE * len(train))
            validation = [train[i] for i in order[:cut]]
            train = [train[i] for i in sorted(order[cut:])]
        work.mkdir(parents=True, exist_ok=True)
        return cls(
            _written(work / "train.jsonl", train),
            _written(work / "validation.jsonl", validation),
            _written(work / "test.jsonl", test),
        )


def _lines(source: Path, part: str) -> list[str]:
    """Of a file; none where there is no such file."""
    plain, packed = source / f"{part}.jsonl", source / f"{part}.jsonl.xz"
    if plain.exists():
        return plain.read_text("utf-8").splitlines()
    if packed.exists():
        with lzma.open(packed, "rt", encoding="utf-8") as file:
            return file.read().splitlines()
    return []


def _written(path: Path, lines: list[str]) -> Path:
    replace_text(path, "".join(f"{line}\n" for line in lines))
    return path
