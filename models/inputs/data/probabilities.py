"""Labels that come with probabilities, as those of a language model: an object in each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .cells import fault_of, is_nothing, shown
from .json_objects import parse, repeated_keys

Probabilities = Mapping[str, float]
"""By the name of the label; labels that are not named have none."""
EXPECTED = "an object {label: probability}"
SLACK = 0.01
"""By which a sum may miss 1, for numbers that were rounded."""


def as_probabilities(
    values: Sequence[object], column: str, path: Path
) -> tuple[Probabilities | None, ...]:
    """Of each row its probabilities as they are written, or None where the row has none.

    values: objects, or texts that hold one as JSON; a label whose value is `null` counts as not
    named, which is how Parquet writes the fields that a row lacks. Raises DataError that names the
    first row with a value outside 0 to 1 or a sum that misses 1 by more than `SLACK`.
    """
    return tuple(
        None if is_nothing(value) else _probabilities(value, f"{path}: row {row}: {column}")
        for row, value in enumerate(values, start=1)
    )


def most_probable(given: Probabilities) -> str:
    """The label; of equally probable ones the first by name, in the order of code points."""
    return max(sorted(given), key=given.__getitem__)


def probability_table(
    probabilities: Sequence[Probabilities | None], labels: Sequence[str], known: Sequence[str]
) -> NDArray[np.float32]:
    """(texts, known labels), float32: the probabilities as they are written; 1 at the label of a
    text that has none. labels: of each text. Every name is a known one.
    """
    index = {label: column for column, label in enumerate(known)}
    table = np.zeros((len(labels), len(known)), dtype=np.float32)
    for row, (given, label) in enumerate(zip(probabilities, labels, strict=True)):
        for name, probability in (given or {label: 1.0}).items():
            table[row, index[name]] = probability
    return table


def _probabilities(value: object, where: str) -> Probabilities:
    if isinstance(value, str):
        value = parse(value, where)
    if not isinstance(value, dict):
        raise DataError(f"{where} is {shown(value)}; expected {EXPECTED}")
    if twice := repeated_keys(value):
        raise DataError(f"{where}: {twice[0]!r} is there twice")
    found: dict[str, float] = {}
    for label, probability in value.items():
        if fault := fault_of(label):
            raise DataError(f"{where}: the name of a label {fault}")
        if probability is None:
            continue
        if isinstance(probability, bool) or not isinstance(probability, int | float):
            raise DataError(f"{where}: {label!r} is {shown(probability)}; expected a number")
        if not 0 <= probability <= 1:  # which NaN is not, either
            raise DataError(f"{where}: {label!r} is {probability}, which is not from 0 to 1")
        found[label] = float(probability)
    total = fsum(found.values())
    if abs(total - 1) > SLACK + 1e-9:  # rounding: 1 - 0.99 is above 0.01
        raise DataError(
            f"{where}: the sum is {total:.4g}, not 1 within {SLACK}; a row names every label that "
            "has a share"
        )
    return found
