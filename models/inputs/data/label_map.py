"""A teacher's labels in the words of the data: what a checkpoint's classes are called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...errors import DataError, NestlingError
from ...nearest import did_you_mean
from .labelled import Labelled
from .naming import MOST, listed

EXAMPLE = '{"label of the data": "label of the teacher"}'


def read_label_map(path: Path) -> dict[str, str]:
    """A JSON object {label of the data: label of the teacher}.

    Raises NestlingError that names the file and the entry at fault.
    """
    try:
        pairs = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=tuple)
    except OSError as error:
        raise NestlingError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise NestlingError(f"{path}: is not JSON: {error}") from error
    if not isinstance(pairs, tuple):  # which stands for an object
        raise NestlingError(f"{path}: is not an object, as {EXAMPLE}")
    if not pairs:
        raise NestlingError(f"{path}: has no entries, as {EXAMPLE}")
    mapped: dict[str, str] = {}
    for ours, theirs in pairs:
        if not isinstance(theirs, str):
            raise NestlingError(f"{path}: {ours!r}: its value is not a text, as {EXAMPLE}")
        if ours in mapped:
            raise NestlingError(f"{path}: {ours!r} is there twice")
        mapped[ours] = theirs
    return mapped


def served_labels(
    teacher: Sequence[str], data: Iterable[str], mapped: Mapping[str, str], path: Path
) -> tuple[str, ...]:
    """The teacher's labels, in its order, as the data call them. path: of the map.

    A label that is not in the map keeps the teacher's word.
    Raises NestlingError that names an entry of the map which cannot be used.
    """
    there = set(data)
    spelled: dict[str, str] = {}
    for ours, theirs in mapped.items():
        if theirs not in teacher:
            raise NestlingError(
                f"{path}: {theirs!r} is none of the teacher's {len(teacher)} labels, "
                f"{listed(teacher)}{did_you_mean(theirs, teacher)}"
            )
        if ours not in there:
            raise NestlingError(
                f"{path}: {ours!r} is none of the data's {len(there)} labels, "
                f"{listed(sorted(there))}{did_you_mean(ours, sorted(there))}"
            )
        if theirs in spelled:
            raise NestlingError(
                f"{path}: {spelled[theirs]!r} and {ours!r} both stand for the teacher's "
                f"{theirs!r}; each of its labels has one"
            )
        spelled[theirs] = ours
    labels = tuple(spelled.get(theirs, theirs) for theirs in teacher)
    for theirs, ours in zip(teacher, labels, strict=True):
        if labels.count(ours) > 1 and theirs == ours:
            raise NestlingError(
                f"{path}: {ours!r} stands for the teacher's {mapped[ours]!r}, and the teacher has "
                f"a label {ours!r} itself, for which no other label of the data stands"
            )
    return labels


def refuse_strangers(
    data: Labelled, labels: Sequence[str], teacher: Sequence[str], path: Path
) -> None:
    """Raises DataError for the first label that the teacher does not know, with both sides.

    labels: the teacher's, as the data call them.
    """
    for label, row in data.names.items():
        if label in labels:
            continue
        ours = sorted(data.names)
        meant, advice = _meant(ours, teacher), f": {EXAMPLE}"
        if meant and len(meant) <= MOST:
            advice = f"; this may be meant: {json.dumps(meant, ensure_ascii=False)}"
        raise DataError(
            f"{path}: row {row}: label {label!r} is none of the {len(labels)} known labels, those "
            f"of the teacher: {listed(labels)}; the data have {listed(ours)}. --label-map FILE "
            f"maps them{advice}"
        )


def _meant(ours: Sequence[str], teacher: Sequence[str]) -> dict[str, str] | None:
    """A map where all labels differ in case, blanks and `LABEL_` alone; else None."""
    theirs = {_bare(label): label for label in teacher}
    found = {label: theirs.get(_bare(label)) for label in ours}
    matched = {label: other for label, other in found.items() if other is not None}
    if len(matched) < len(ours) or len(set(matched.values())) < len(ours):
        return None
    return {label: other for label, other in matched.items() if label != other}


def _bare(label: str) -> str:
    return re.sub(r"[\W_]+", "", label.casefold()).removeprefix("label")
