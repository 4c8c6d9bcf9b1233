"""Learned deferral: regressions in place of a score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.training.deferral import (
    EITHER,
    LEARNED,
    NOW,
    OnOthers,
    candidates,
    compared,
    summary,
)
from benchmarks.training.routers import Asked, Routers
from nestling.models.calibration.evidence import Evidence, rounded
from nestling.models.calibration.learn_then_test import Split
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.score import Score
from nestling.models.progress import SILENT

TEXTS = 1200
TARGET = RiskTarget(0.03)
WEAK_CLASS = 3


@pytest.fixture(scope="module")
def asked() -> Asked:
    """Two students and a TA that is always right. The first errs in one class alone, whatever its
    score; the second where the first disagrees with it.
    """
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, TEXTS)
    labels = np.stack([truth] * 3)
    labels[0, (truth != WEAK_CLASS) & (rng.random(TEXTS) < 0.1)] = WEAK_CLASS
    other = rng.random(TEXTS) < 0.1
    labels[1, other] = (labels[0, other] + 1) % 5
    wrong = labels != truth
    score = rounded(rng.uniform(0.5, 0.99, (3, TEXTS)))
    cost = np.repeat([[0.02], [0.1], [1.0]], TEXTS, axis=1)
    evidence = Evidence(score, wrong & ~wrong[-1], cost, margin=0.0)
    return Asked(dict.fromkeys(Score, evidence), labels)


def test_the_class_and_agreement_tell_what_a_score_does_not(asked: Asked) -> None:
    bad = asked.evidence[Score.MARGIN].broken
    ordering = np.arange(TEXTS // 2)
    unseen = slice(TEXTS // 2, None)
    routers = Routers(asked, ordering)
    assert ranked(routers.score(0, ())[unseen], bad[0, unseen]) > 0.85
    assert ranked(routers.score(1, (0,))[unseen], bad[1, unseen]) > 0.9
    assert ranked(routers.score(1, ())[unseen], bad[1, unseen]) < 0.7  # with nobody to agree with


def losing(asked: Asked, bad: NDArray[np.bool_]) -> Asked:
    """The same texts, others of which are lost."""
    evidence = replace(asked.evidence[Score.MARGIN], loss=bad)
    return replace(asked, evidence=dict.fromkeys(Score, evidence))


def ranked(score: NDArray[np.float32], bad: NDArray[np.bool_]) -> float:
    """How often a good answer has the higher score than a bad one, ties by half."""
    good, other = score[~bad][:, None], score[bad][None]
    return float(((good > other) + 0.5 * (good == other)).mean())


def test_texts_that_order_are_scored_by_what_has_not_seen_them(asked: Asked) -> None:
    """Errors at random cannot be learnt: scores that had seen them would rank them apart."""
    bad = np.zeros((3, TEXTS), dtype=bool)
    bad[0] = np.random.default_rng(1).random(TEXTS) < 0.2
    few = np.arange(150)
    crossed = Routers(losing(asked, bad), few).score(0, ())[few]
    assert 0.3 < ranked(crossed, bad[0, few]) < 0.7


def test_where_hardly_anything_is_lost_the_margin_stays(asked: Asked) -> None:
    asked = losing(asked, np.zeros((3, TEXTS), dtype=bool))
    routers = Routers(asked, np.arange(600))
    margin = asked.evidence[Score.MARGIN]
    assert np.array_equal(routers.evidence((0, 1, 2)).score, margin.score)


def test_a_rule_that_knows_more_costs_less(asked: Asked) -> None:
    order = np.random.default_rng(2).permutation(TEXTS)
    found = candidates(asked, Split(order[:300], order[300:900]), TARGET)
    assert found[LEARNED].expected < found[NOW].expected
    assert found[EITHER] in list(found.values())[1:-1]
    rows = list(compared(asked, TARGET, 900, 2, SILENT))
    assert [row["rule"] for row in rows] == list(found)
    saved = {str(row["rule"]): row["saves"] for row in rows}
    assert saved[NOW] == 0
    assert isinstance(saved[LEARNED], float)
    assert saved[LEARNED] > 0.2


def test_a_summary_is_of_means_over_redraws() -> None:
    now = [OnOthers(0.2, 0.01), OnOthers(0.4, 0.03)]
    found = summary([OnOthers(0.1, 0.02), OnOthers(0.35, 0.0)], now, 0.015)
    assert found["relative_flops"] == pytest.approx(0.225)
    assert found["saves"] == pytest.approx(0.25)
    assert found["interval"] == pytest.approx([0.125, 0.5])
    assert found["cheaper_redraws"] == 1
    assert found["broken"] == pytest.approx(0.01)
    assert found["above_alpha"] == 0.5
