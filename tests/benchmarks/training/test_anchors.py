"""What stands beside the cascades: the oracle, TinySaver's rule, TF-IDF; and how sure a loss is."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from benchmarks.training.sets.asked import Asked
from benchmarks.training.sets.lost import accuracy_lost
from benchmarks.training.sets.oracle import oracle
from benchmarks.training.sets.tfidf import answerable, measured
from benchmarks.training.sets.tiny_saver import tiny_saver
from nestling.models.calibration.evidence import Evidence, outcome
from nestling.models.cascade.score import Score

COST = np.array([0.05, 0.2, 0.4, 1.0])


def evidence(texts: int, seed: int) -> Evidence:
    """Three students and a TA; few different scores, so that some texts share one."""
    draw = np.random.default_rng(seed)
    score = draw.integers(1, 8, (4, texts)) / 8
    wrong = draw.random((4, texts)) > score ** np.array([0.9, 0.5, 0.3, 0.1])[:, None]
    loss = wrong.astype(np.int8) - wrong[-1].astype(np.int8)
    cost = COST[:, None] * draw.integers(4, 30, texts)
    return Evidence(score.astype(np.float32), loss, cost.astype(np.float64), margin=0.0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("alpha", [0.0, 0.03, 0.1])
def test_the_oracle_is_the_best_of_all_thresholds(seed: int, alpha: float) -> None:
    drawn = evidence(40, seed)
    best = 1.0
    grid = np.append(np.arange(1, 8) / 8, 2.0)
    for count in (1, 2, 3):
        for stages in combinations(range(3), count):
            vectors = np.array([[*each, 0.0] for each in product(grid, repeat=count)])
            found = outcome(drawn.stages((*stages, 3)), vectors)
            kept = found.cost[found.losses <= alpha * drawn.texts + 1e-9]
            best = min(best, float(kept.min(initial=np.inf) / drawn.cost[-1].mean()))
    found_best = oracle({Score.MARGIN: drawn}, alpha)
    assert found_best.cost == pytest.approx(best)
    assert found_best.lost <= alpha * drawn.texts + 1e-9


def test_the_oracle_takes_the_score_that_costs_less() -> None:
    good = evidence(40, 0)
    blind = Evidence(np.ones_like(good.score), good.loss, good.cost, 0.0)
    both = oracle({Score.MARGIN: blind, Score.PROBABILITY: good}, 0.05)
    assert both.score == Score.PROBABILITY
    assert oracle({Score.MARGIN: blind}, 0.0).stages == (3,)


def test_the_saver_is_the_student_that_saves_most() -> None:
    score = np.array([[0.9, 0.8, 0.2, 0.1], [0.9, 0.9, 0.9, 0.9], [1, 1, 1, 1]], np.float32)
    loss = np.array([[0, 0, 1, 1], [1, -1, 1, 0], [0, 0, 0, 0]], np.int8)
    cost = np.tile(np.array([[0.1], [0.3], [1.0]]), 4)
    texts = Asked(
        ("tiny", "small", "ta"),
        dict.fromkeys((Score.MARGIN, Score.PROBABILITY), Evidence(score, loss, cost, 0.0)),
    )
    found = tiny_saver(texts, texts)
    assert found.student == "tiny"
    assert found.cost == pytest.approx((4 * 0.1 + 2) / 4)
    assert (found.broken, found.recovered) == (0, 0)


def test_no_saver_where_none_is_right() -> None:
    score = np.ones((2, 3), np.float32)
    loss = np.array([[1, 1, 1], [0, 0, 0]], np.int8)
    both = dict.fromkeys(
        (Score.MARGIN, Score.PROBABILITY), Evidence(score, loss, np.ones((2, 3)), 0.0)
    )
    assert tiny_saver(Asked(("tiny", "ta"), both), Asked(("tiny", "ta"), both)).student is None


def test_tfidf_learns_words() -> None:
    train = [(f"play {word} music", "music") for word in ("some", "loud", "old", "new")]
    train += [(f"set {word} alarm", "alarm") for word in ("an", "the", "my", "one")]
    found = measured(train, [("play music", "music"), ("an alarm", "alarm")])
    assert found["accuracy"] == 1
    assert found["answered"] == 1


def test_what_is_answerable_stops_at_the_errors_that_are_allowed() -> None:
    confidence = np.array([0.9, 0.5, 0.8, 0.7, 0.7])
    right = np.array([True, True, True, False, True])
    assert answerable(confidence, right, 0.0) == pytest.approx(2 / 5)
    assert answerable(confidence, right, 0.2) == 1.0
    assert answerable(confidence, np.zeros(5, dtype=bool), 0.0) == 0.0


def test_the_interval_of_what_is_lost() -> None:
    none = accuracy_lost(0, 0, 1000)
    assert none.share == 0
    assert none.low == pytest.approx(-none.high)
    some = accuracy_lost(30, 10, 1000)
    assert some.share == pytest.approx(0.02)
    assert some.broken == pytest.approx(0.03)
    assert some.low < 0.02 < some.high
    with pytest.raises(ValueError, match="texts"):
        accuracy_lost(0, 0, 0)
