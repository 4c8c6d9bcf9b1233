"""The data sets of the comparison: what kind of text each has, and which texts calibrate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nestling.models.errors import DataError

ENOUGH = 1000
"""Texts that calibrate, where a set has a choice."""
INTENTS, QUESTIONS, OPINIONS, TWEETS, LONG = "intents", "questions", "opinions", "tweets", "long"


@dataclass(frozen=True)
class DataSet:
    """A folder of `train`, `test` and perhaps `validation`, as .jsonl or .jsonl.xz, whose rows have
    `text` and `label`.

    kind: by which results are gathered. calibration: texts that calibrate, at least. The validation
    part is all of them if it has as many; what it lacks is drawn from train. validation: whether
    the validation part calibrates at all.
    """

    name: str
    kind: str
    calibration: int = ENOUGH
    validation: bool = True


SETS = {
    each.name: each
    for each in (
        DataSet("clinc150", INTENTS),
        DataSet("snips_intent", INTENTS),
        DataSet("atis_intent", INTENTS),
        DataSet("trec", QUESTIONS),
        DataSet("sst2", OPINIONS, calibration=5000, validation=False),
        DataSet("mr", OPINIONS),
        DataSet("cr", OPINIONS),
        DataSet("subj", OPINIONS),
        DataSet("tweet_emotion", TWEETS),
        DataSet("tweet_offensive", TWEETS),
        DataSet("tweet_sentiment", TWEETS),
        DataSet("imdb", LONG),
        DataSet("newsgroups20", LONG),
    )
}
"""In the order in which they are run and shown. The validation part of SST-2 has whole sentences,
as its test, but is too small to promise half a point; its train has phrases."""


def chosen(names: list[str] | None, data: Path) -> list[DataSet]:
    """Those sets, or all. Raises DataError for one whose folder is not there."""
    found = [SETS[name] for name in names or SETS]
    for each in found:
        if not (data / each.name).is_dir():
            raise DataError(f"data: {data / each.name}: no such folder")
    return found
