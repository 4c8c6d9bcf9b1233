"""The detector: what it promises while nothing is wrong, and how soon it sees what is."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from nestling.models.calibration.drift import BETS, DriftDetector, advanced, bets, worst_stretch

RISK = 0.05


def until_alarm(
    losses: np.random.Generator, rate: float, values: np.ndarray, mean_time: float, most: int
) -> np.ndarray:
    """(lanes,) texts until each lane's alarm; most, if there is none by then."""
    found = np.full(len(values), most)
    for text in range(1, most + 1):
        values = advanced(values, losses.random(len(values)) < rate, RISK, bets(RISK))
        alarmed = values.mean(axis=1) >= mean_time
        found[alarmed] = np.minimum(found[alarmed], text)
        values[alarmed] = 0
    return found


def test_it_is_what_the_formula_says() -> None:
    """M_t = Σ_s Π_{s ≤ i ≤ t} e_i: a text at which a change may have come, and all since."""
    lost = np.random.default_rng(0).random(60) < 0.3
    detector = DriftDetector(RISK, mean_time=inf)
    for each in lost:
        detector.observe(bool(each))
    factors = 1 + bets(RISK)[:, None] * (lost - RISK)
    sums = sum(factors[:, start:].prod(axis=1) for start in range(len(lost)))
    assert detector.evidence == pytest.approx(np.mean(sums), rel=1e-9)


def test_false_alarms_are_as_rare_as_promised() -> None:
    """At the promised risk itself, the worst that is no breach. The bound allows 400 on average."""
    texts, lanes, mean_time = 2_000, 200, 1_000
    random = np.random.default_rng(1)
    values, alarms = np.zeros((lanes, BETS)), 0
    for _ in range(texts):
        values = advanced(values, random.random(lanes) < RISK, RISK, bets(RISK))
        alarmed = values.mean(axis=1) >= mean_time
        alarms += int(alarmed.sum())
        values[alarmed] = 0
    assert 0 < alarms <= 400


def test_quiet_times_are_forgotten() -> None:
    fresh = np.zeros((200, BETS))
    quiet = fresh
    for _ in range(20_000):
        quiet = advanced(quiet, np.zeros(len(quiet), bool), RISK, bets(RISK))
    delays = [
        until_alarm(np.random.default_rng(2), 4 * RISK, start, 1e6, 2_000).mean()
        for start in (fresh, quiet)
    ]
    assert delays[1] <= delays[0] < 150


def test_a_total_breach_takes_a_handful_of_texts() -> None:
    detector, texts = DriftDetector(0.005), 0
    while not detector.alarmed:
        detector.observe(True)
        texts += 1
    assert texts <= 6


def test_it_stays_where_it_was_at_its_alarm() -> None:
    detector = DriftDetector(RISK)
    for _ in range(1_000):
        detector.observe(True)
    at_alarm = detector.evidence
    assert 1e6 <= at_alarm < 1e12
    for _ in range(1_000):
        detector.observe(False)
    assert detector.alarmed
    assert detector.evidence == at_alarm


def test_the_stretch_is_where_the_change_came() -> None:
    """One loss in a thousand texts until text 50,000, then one in fifty."""
    losses = [*range(1_000, 49_001, 1_000), *range(50_020, 50_401, 20)]
    assert worst_stretch(losses, 50_400, 0.005) == (20, 381)
    assert worst_stretch([7, 8, 9], 9, 0.5) == (3, 3)
    assert worst_stretch([1], 1_000, 0.5) == (1, 1_000)


@pytest.mark.parametrize("risk", [1e-9, 0.001, 0.5, 0.999])
def test_no_number_leaves_its_range(risk: float) -> None:
    detector = DriftDetector(risk, mean_time=1e12)
    for text in range(20_000):
        detector.observe(text % 1_000 == 999)
    assert 0 < detector.evidence < 1e18
    assert (bets(risk) > 0).all()
    assert (bets(risk) < 1 / risk).all()


@pytest.mark.parametrize("risk", [0, 1, -0.1, float("nan")])
def test_a_risk_that_is_none(risk: float) -> None:
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        DriftDetector(risk)
