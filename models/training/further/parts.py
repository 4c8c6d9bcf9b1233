"""Which texts train, which say how far to go, and which judge: by the text itself.

A text that comes again, in this file or in the next month's, is always in the same part; so what
judges one round has not been learnt in an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from ...inputs.data.fingerprints import TextSample, fingerprint
from ...inputs.text import Text

TRAFFIC, DATA, VALIDATION = "traffic", "data", "validation"
"""Where texts come from, as tables call it."""


class FurtherPart(Enum):
    """What a text is for."""

    TRAINS = "trains"
    CHOOSES = "chooses"
    JUDGES = "judges"


TENTHS: Final = (
    FurtherPart.JUDGES,
    FurtherPart.JUDGES,
    FurtherPart.CHOOSES,
    *(FurtherPart.TRAINS,) * 7,
)
"""Of the texts, by their fingerprint."""


def part_of(text: Text) -> FurtherPart:
    """The part of a text that nothing was trained on."""
    # The lowest values of a fingerprint are what a checkpoint keeps of its texts, so it is the last
    # digits that decide here.
    return TENTHS[fingerprint(text) % len(TENTHS)]


def parts_of(texts: Sequence[Text], trained_on: TextSample | None) -> list[FurtherPart]:
    """Of each text. What the checkpoint was trained on, or may have been, judges nothing.

    trained_on: what it has kept of those texts; None where it has kept nothing.
    """
    return [
        part_of(text) if trained_on is not None and trained_on.lacks(text) else FurtherPart.TRAINS
        for text in texts
    ]
