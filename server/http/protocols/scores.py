"""Scores of all labels: those of the student whose answer stands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import orjson
from numpy.typing import NDArray
from typing_extensions import TypedDict

from ....models.heads import task_of
from ....models.nested.head_spec import HeadSpec
from ...core.requests import Answers


class LabelScore(TypedDict):
    """One label's score."""

    score: float
    label: str


def probabilities(answers: Answers, head: HeadSpec) -> NDArray[np.float32]:
    """Calibrated, of each label: (texts, labels)."""
    temperatures = [stage.student.temperature for stage in answers.told.stages]
    return task_of(head).probabilities(logits(answers), np.array(temperatures, np.float32))


def logits(answers: Answers) -> NDArray[np.float32]:
    """As the student gave them, (texts, labels)."""
    if len(answers.parts) == 1:
        return answers.parts[0].logits
    found = np.concatenate([part.logits for part in answers.parts])
    return found if answers.order is None else found[list(answers.order)]


def ranked(
    scores: NDArray[np.float32],
    labels: tuple[str, ...],
    abstained: Sequence[bool],
    most: int | None = None,
) -> list[bytes]:
    """Each text's labels as JSON, highest score first; none of a text that was answered without a
    label. Equal scores are in the order of the labels.

    scores: (texts, labels). abstained: which texts those are. most: how many labels; None for all.
    Not from objects: to make one for each label costs more than a small student.
    """
    order = _order(scores)[:, :most]
    values = rounded(np.take_along_axis(scores, order, axis=-1)).ravel()
    shown = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    count, found = order.shape[1], []
    pieces = [BEFORE, *[b""] * (2 * count)]
    behind = _behind(labels)[order].tolist()
    for first, names, without in zip(range(0, len(shown), count), behind, abstained, strict=True):
        pieces[1::2], pieces[2::2] = shown[first : first + count], names
        pieces[-1] = names[-1].removesuffix(AFTER) + b"]"
        found.append(b"[]" if without else b"".join(pieces))
    return found


def as_list(rows: Sequence[bytes]) -> bytes:
    """Several as JSON. They may be long: none is copied twice."""
    between = [b","] * (2 * len(rows) + 1)
    between[0], between[-1] = b"[", b"]"
    between[1::2] = rows
    return b"".join(between)


def rounded(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """As `round(value, 6)` has each: a float32 times a million is exact in float64."""
    found: NDArray[np.float64] = np.rint(values.astype(np.float64) * 1e6) / 1e6
    return found


BEFORE, AFTER = b'[{"score":', b',{"score":'


@lru_cache(maxsize=16)
def _behind(labels: tuple[str, ...]) -> NDArray[np.object_]:
    """What stands behind a score in JSON: its label, and the beginning of the next."""
    return np.array(
        [b',"label":' + orjson.dumps(label) + b"}" + AFTER for label in labels], np.object_
    )


def _order(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """As a stable argsort of the negated scores has it, in a fifth of its time.

    Scores and indices are sorted as one integer: floats compare as their bits do, once those of the
    negative ones are turned around.
    """
    bits = (scores + np.float32(0)).view(np.int32)  # there is no negative zero
    falling = ~np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
    keys = (falling.astype(np.int64) << 32) | np.arange(scores.shape[1])
    keys.sort(axis=-1)
    return keys & 0xFFFFFFFF
