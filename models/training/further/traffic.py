"""Texts of traffic: a log of the server's shadow that keeps texts, or any JSON Lines with a text.

A line may have a `label` too, by whoever knows better than the TA: a person, a customer's feedback,
a large language model. What else stands in a line is not looked at: every student is asked anew.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...calibration.records import previous
from ...errors import DataError
from ...inputs.data.cells import fault_of
from ...inputs.data.fingerprints import fingerprint
from ...inputs.data.naming import listed
from ...inputs.data.text_columns import TEXT, TextColumns
from ...inputs.text import Text, joined
from ...nearest import did_you_mean

LABEL = "label"
"""Columns of a log."""


@dataclass(frozen=True)
class TrafficTexts:
    """Different texts, in the order in which they came first.

    labels: index of each text's label; None where nobody has said it. left_out: how many lines say
    nothing, by why. size: bytes that were read, of the file before it and of the file. sha256: of
    these.
    """

    texts: tuple[Text, ...]
    labels: tuple[int | None, ...]
    left_out: Counter[str]
    size: int
    sha256: str

    @property
    def labelled(self) -> int:
        """How many texts have a label."""
        return sum(label is not None for label in self.labels)


def read_traffic(
    path: Path,
    known: tuple[str, ...],
    columns: TextColumns = TEXT,
    label_column: str = LABEL,
    size: int | None = None,
) -> TrafficTexts:
    """A file and the one before it, which a server's log leaves as `FILE.1`.

    known: the labels, by index. Of a text that comes again the last label counts: a correction
    comes later. A line without these columns is read by those of a log, `text` and `label`.
    size: bytes to read of both together, for a log that a server still writes; all by default.
    Raises DataError for a file without a text, and for a label that is unknown, with its line.
    """
    index = {label: i for i, label in enumerate(known)}
    found: dict[int, tuple[Text, int | None]] = {}
    left_out: Counter[str] = Counter()
    digest, done = hashlib.sha256(), 0
    for where, line in _lines(path, size):
        digest.update(line)
        done += len(line)
        row = _row(line)
        text = None if row is None else _text(row, columns)
        if row is None:
            left_out["damaged"] += 1
        elif text is None:
            left_out["without a text"] += 1
        else:
            column = label_column if label_column in row else LABEL
            label = _label(row.get(column), index, f"{where}: {column}")
            key = fingerprint(text)
            first, earlier = found.get(key, (text, None))
            left_out["that repeat a text"] += key in found
            found[key] = first, earlier if label is None else label
    if not found:
        raise DataError(
            f"{path}: no text to learn from{_said(left_out)}; `nestling serve --shadow-log FILE "
            "--shadow-texts` keeps texts, and --text-column names another column than `text`"
        )
    texts, labels = zip(*found.values(), strict=True)
    return TrafficTexts(texts, labels, +left_out, done, digest.hexdigest())


def size_of(path: Path) -> int:
    """Bytes of a file and of the one before it. Raises DataError as `read_traffic` does."""
    return sum(file.stat().st_size for file in _files(path))


def begins_with(path: Path, size: int, sha256: str) -> bool:
    """Whether these bytes are still there: a log that has only grown since they were read."""
    digest, done = hashlib.sha256(), 0
    for _, line in _lines(path, size):
        digest.update(line)
        done += len(line)
    return done == size and digest.hexdigest() == sha256


def told(traffic: TrafficTexts, path: Path) -> str:
    """What was found in the file, in a sentence."""
    return (
        f"{path}: {len(traffic.texts):,} different texts, {traffic.labelled:,} with a label"
        f"{_said(traffic.left_out)}"
    )


def _said(left_out: Counter[str]) -> str:
    return "".join(f"; {count:,} lines {why}" for why, count in sorted(left_out.items()) if count)


def _lines(path: Path, size: int | None) -> Iterator[tuple[str, bytes]]:
    """Of both files: where each line stands, and its bytes, the last one cut where `size` ends."""
    left = size_of(path) if size is None else size
    for file in _files(path):
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if left <= 0:
                    return
                yield f"{file}: line {number}", line[:left]
                left -= len(line)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; traffic is one file of JSON Lines")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    return [file for file in (previous(path), path) if file.exists()]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # a server that was killed leaves half a line
        return None
    return row if isinstance(row, dict) else None


def _text(row: Mapping[str, object], columns: TextColumns) -> Text | None:
    """The text or pair of a line, by its columns or by those of a log; None where it has none."""
    asked = replace(TEXT, pairs=columns.pairs).needed
    cells = [
        row.get(own, row.get(of_log)) for own, of_log in zip(columns.needed, asked, strict=True)
    ]
    found = [cell for cell in cells if isinstance(cell, str) and not fault_of(cell)]
    return joined(found) if len(found) == len(cells) else None


def _label(value: object, index: dict[str, int], where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):  # as in labelled data
        value = str(value)
    if not isinstance(value, str) or value not in index:
        hint = did_you_mean(value, list(index)) if isinstance(value, str) else ""
        raise DataError(
            f"{where} {value!r} is none of the {len(index)} known labels, "
            f"{listed(list(index))}{hint}"
        )
    return index[value]
