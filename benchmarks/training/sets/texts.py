"""The three files of a data set: texts that train, that calibrate, and that test."""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from nestling.models.checkpoint.integrity import replace_text
from nestling.models.errors import DataError
from nestling.models.inputs.data.fingerprints import fingerprint

from .registry import DataSet

Row = tuple[str, str]
"""A text and its label."""
TRAIN, CALIBRATION, TEST, COUNTS = "train", "calibration", "test", "texts.json"
SEED = 0


@dataclass(frozen=True)
class Parts:
    """What trains, calibrates and tests. drawn: how many that calibrate were drawn from train.
    repeated: texts left out of train, since they calibrate or test. unknown: texts left out of
    calibration and test, since no text that trains has their label.
    """

    train: list[Row]
    calibration: list[Row]
    test: list[Row]
    drawn: int
    repeated: int
    unknown: dict[str, int]


def prepared(data: Path, chosen: DataSet, work: Path) -> dict[str, object]:
    """Write the parts into `work`, once. Returns how many texts there are of each.

    Raises DataError naming a file that is missing, or a row of it that is wrong.
    """
    counts = work / COUNTS
    if not counts.exists():
        work.mkdir(parents=True, exist_ok=True)
        found = parts(data, chosen)
        for name in (TRAIN, CALIBRATION, TEST):
            write(work / f"{name}.jsonl", getattr(found, name))
        about = asdict(found)
        about |= {name: len(about[name]) for name in (TRAIN, CALIBRATION, TEST)}
        about["labels"] = len({label for _, label in found.train})
        replace_text(counts, json.dumps(about) + "\n")
    said: dict[str, object] = json.loads(counts.read_text("utf-8"))
    return said


def parts(data: Path, chosen: DataSet) -> Parts:
    """Split by one fixed draw."""
    folder = data / chosen.name
    train, test = read(folder, TRAIN), read(folder, TEST)
    calibration: list[Row] = []
    if chosen.validation and _file(folder, "validation") is not None:
        calibration = read(folder, "validation")
    drawn = max(0, chosen.calibration - len(calibration))
    order = np.random.default_rng(SEED).permutation(len(train)).tolist()
    calibration = calibration + [train[row] for row in sorted(order[:drawn])]
    train = [train[row] for row in sorted(order[drawn:])]
    elsewhere = {fingerprint(text) for text, _ in (*calibration, *test)}
    kept = [row for row in train if fingerprint(row[0]) not in elsewhere]
    labels = {label for _, label in kept}
    found = {
        name: [row for row in part if row[1] in labels]
        for name, part in ((CALIBRATION, calibration), (TEST, test))
    }
    return Parts(
        train=kept,
        calibration=found[CALIBRATION],
        test=found[TEST],
        drawn=drawn,
        repeated=len(train) - len(kept),
        unknown={
            CALIBRATION: len(calibration) - len(found[CALIBRATION]),
            TEST: len(test) - len(found[TEST]),
        },
    )


def read(folder: Path, part: str) -> list[Row]:
    """A part of a set. Raises DataError for a missing file, and for a row without both columns."""
    file = _file(folder, part)
    if file is None:
        raise DataError(f"{folder}: has neither {part}.jsonl nor {part}.jsonl.xz")
    found = []
    with (lzma.open if file.suffix == ".xz" else open)(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            row = json.loads(line)
            if not isinstance(row.get("text"), str) or not isinstance(row.get("label"), str):
                raise DataError(f"{file}: row {number}: has no text and label, both words")
            found.append((row["text"], row["label"]))
    return found


def write(path: Path, rows: Sequence[Row]) -> None:
    """As JSON Lines."""
    lines = (json.dumps({"text": text, "label": label}) for text, label in rows)
    replace_text(path, "\n".join(lines) + "\n")


def shortened(source: Path, target: Path, tokenizer: Path, limit: int) -> int:
    """Write the texts of a file, each cut after the last word that leaves it at most `limit`
    tokens, special ones included. Returns how many were cut.

    tokenizer: a `tokenizer.json`.
    """
    cutter = Tokenizer.from_file(str(tokenizer))
    cutter.no_padding()
    cutter.no_truncation()
    room = limit - cutter.num_special_tokens_to_add(False)
    rows = read(source.parent, source.stem)
    encoded = cutter.encode_batch([text for text, _ in rows], add_special_tokens=False)
    short: list[Row] = []
    for (text, label), found in zip(rows, encoded, strict=True):
        if len(found) > room:
            words = found.word_ids
            last = next(k for k in range(room, 0, -1) if words[k] != words[k - 1])
            text = text[: found.offsets[last - 1][1]]
        short.append((text, label))
    write(target, short)
    return sum(len(found) > room for found in encoded)


def _file(folder: Path, part: str) -> Path | None:
    files = (folder / f"{part}.jsonl", folder / f"{part}.jsonl.xz")
    return next((file for file in files if file.exists()), None)
