"""What a data set says that was probably not meant: told, or refused where it spoils the model."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from ...errors import DataError
from .fingerprints import fingerprint
from .labelled import Labelled
from .naming import listed, shortened
from .probabilities import most_probable


def refuse_look_alikes(data: Labelled, path: Path) -> None:
    """Raises DataError if two labels differ in nothing that a reader sees."""
    seen: dict[str, tuple[str, int]] = {}
    for label, row in data.names.items():
        other, first = seen.setdefault(_visible(label), (label, row))
        if label != other:
            raise DataError(
                f"{path}: row {row}: label {label!a} looks like {other!a} of row "
                f"{first}, and would be a class of its own; write one of them throughout"
            )


def doubts_about_labels(data: Labelled, path: Path) -> list[str]:
    """Labels that differ in case alone; texts that have several labels; labels that are not the
    most probable ones.
    """
    doubts = []
    by_case: dict[str, str] = {}
    for label in data.names:
        other = by_case.setdefault(label.casefold(), label)
        if other != label:
            doubts.append(f"{path}: labels {other!r} and {label!r} differ in case alone")
    seen: dict[int, tuple[str, int]] = {}
    contrary = []
    for row, (text, label) in enumerate(zip(data.texts, data.labels, strict=True), start=1):
        other, first = seen.setdefault(fingerprint(text), (label, row))
        if other != label:
            contrary.append((row, label, first, other))
    if contrary:
        row, label, first, other = contrary[0]
        doubts.append(
            f"{path}: {len(contrary):,} of {len(data.texts):,} rows repeat a text with another "
            f"label: {shortened(repr(data.texts[row - 1]))} is {other!r} in row {first} and "
            f"{label!r} in row {row}"
        )
    return doubts + _doubts_about_probabilities(data, path)


def doubts_about_sharing(train: Labelled, held_out: Labelled, path: Path) -> list[str]:
    """Held-out texts that are trained on."""
    known = set(map(fingerprint, train.texts))
    shared = sum(fingerprint(text) in known for text in held_out.texts)
    if not shared:
        return []
    return [
        f"{path}: {shared:,} of {len(held_out.texts):,} texts are among those that are trained on; "
        "accuracy on them says nothing of new texts"
    ]


def _doubts_about_probabilities(data: Labelled, path: Path) -> list[str]:
    doubts = []
    pairs = enumerate(zip(data.labels, data.probabilities or (), strict=False), start=1)
    unlike = [
        (row, label, most_probable(given))
        for row, (label, given) in pairs
        if given and given.get(label, 0.0) < max(given.values())
    ]
    if unlike:
        row, label, likeliest = unlike[0]
        doubts.append(
            f"{path}: {len(unlike):,} of {len(data.texts):,} rows have another label than the most "
            f"probable one: row {row} has {label!r}, but {likeliest!r} is the most probable. "
            "The probabilities are learnt"
        )
    if never := sorted(data.names.keys() - {name for names in data.named for name in names}):
        doubts.append(f"{path}: no text has the label {listed(never)}; only probabilities name it")
    return doubts


def _visible(label: str) -> str:
    """What a reader sees: characters composed, invisible ones left out, blanks alike."""
    composed = unicodedata.normalize("NFC", label)
    seen = "".join(each for each in composed if each.isprintable() or each.isspace())
    return " ".join(seen.split())
