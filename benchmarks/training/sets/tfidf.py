"""An anchor that costs nothing: TF-IDF of words and characters, and logistic regression.

The same for all sets: words in ones and twos, characters in twos to fives within words, counts by
their logarithm, the most frequent 100,000 of each; a regression with C = 10. It learns from the
texts that train everything else, and is measured on the same test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union

from nestling.models.checkpoint.integrity import replace_text

from .origin import origin
from .texts import TEST, TRAIN, Row, read

MOST_FEATURES = 100_000
"""Of words, and as many of characters."""
MAX_ERROR = 0.005
"""Share of all texts that may be answered wrongly where some are answered."""
KEPT = "tfidf.json"


def anchor(work: Path) -> dict[str, Any]:
    """Of the set that was prepared in that folder; measured once."""
    file = work / KEPT
    if not file.exists():
        found = measured(read(work, TRAIN), read(work, TEST))
        replace_text(file, json.dumps(found | origin()) + "\n")
    kept: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return kept


def measured(train: Sequence[Row], test: Sequence[Row]) -> dict[str, float]:
    """Accuracy on test, and the share it could answer by its own confidence; the seconds of all."""
    started = time.monotonic()
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MOST_FEATURES),
        TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=MOST_FEATURES
        ),
    )
    known = features.fit_transform([text for text, _ in train])
    regression = LogisticRegression(C=10, max_iter=1000, tol=1e-5)
    regression.fit(known, [label for _, label in train])
    likely = regression.predict_proba(features.transform([text for text, _ in test]))
    right = regression.classes_[likely.argmax(axis=1)] == np.array([label for _, label in test])
    return {
        "accuracy": round(float(right.mean()), 5),
        "answered": round(answerable(likely.max(axis=1), right, MAX_ERROR), 5),
        "features": known.shape[1],
        "seconds": round(time.monotonic() - started, 1),
    }


def answerable(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], max_error: float
) -> float:
    """The largest share of the texts, the surest first, of which at most `max_error` of all texts
    are answered wrongly. Texts of one confidence are answered together.
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~right[order])
    ends = np.append(np.diff(confidence[order]) != 0, True)  # of each run of equal confidences
    kept = np.flatnonzero(ends & (wrong <= max_error * len(right)))
    return float(kept[-1] + 1) / len(right) if len(kept) else 0.0
