"""What a calibration keeps of its path: steps that mean what they say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nestling.models.calibration.evidence import Evidence, outcome
from nestling.models.calibration.kept import MOST, kept_path

from .test_trail import calibrated, choice

TEXTS = 4000


def evidence() -> Evidence:
    """Two students, often unsure and wrong then, and a TA."""
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 1, (3, TEXTS)).astype(np.float32)
    loss = rng.uniform(0, 1, (3, TEXTS)) < 0.3 * (1 - score)
    loss[-1] = False
    return Evidence(score, loss, np.repeat([[1.0], [3.0], [20.0]], TEXTS, axis=1), 1e-5)


def vectors(count: int = 400) -> np.ndarray:
    fall = np.linspace(1, 0.01, count)
    return np.stack([np.minimum(1, fall + 0.1), fall, np.zeros(count)], axis=1)


def test_the_steps_are_those_of_which_no_cheaper_one_loses_as_little() -> None:
    found, path, testing = evidence(), vectors(), np.arange(0, TEXTS, 2)
    kept = kept_path(found, testing, path, 200, 20.0)
    chosen = kept.chosen
    assert kept.steps[chosen].thresholds == tuple(path[200])
    assert kept.steps[0].thresholds == (1, 1, 0)
    assert kept.steps[0].relative_cost == 1
    assert 2 < chosen <= MOST + 1
    assert 2 < len(kept.steps) - chosen - 1 <= MOST
    tested = outcome(found.select(testing), np.array([step.thresholds for step in kept.steps]))
    assert [step.risk for step in kept.steps] == pytest.approx(list(tested.losses / len(testing)))
    for safer, cheaper in pairwise(kept.steps[1:]):
        assert safer.risk < cheaper.risk
        assert safer.relative_cost > cheaper.relative_cost
    # A student that never answers is not asked: its cost is not counted.
    for step in kept.steps:
        used = [k for k, threshold in enumerate(step.thresholds) if threshold < 1]
        alone = outcome(found.stages(used), np.array([[step.thresholds[k] for k in used]]))
        assert step.relative_cost == pytest.approx(float(alone.cost[0]) / 20)


@pytest.mark.parametrize("chosen", [0, 399])
def test_an_end_of_the_path_has_one_side_alone(chosen: int) -> None:
    kept = kept_path(evidence(), np.arange(TEXTS), vectors(), chosen, 20.0)
    assert kept.chosen == (0 if chosen == 0 else len(kept.steps) - 1)
    assert len(kept.steps) > 2


def test_every_calibration_keeps_one() -> None:
    cascade, trail = calibrated().cascade, choice().trail
    path = cascade.path
    assert path is not None
    assert path is choice().path
    chosen = path.steps[path.chosen]
    assert chosen.thresholds == tuple(stage.threshold for stage in cascade.stages)
    assert cascade.guarantee is not None
    assert chosen.risk == cascade.guarantee.observed_risk
    assert cascade.forecast is not None
    assert chosen.relative_cost == pytest.approx(cascade.forecast.relative_seconds)
    # Whatever is safer than the chosen vector has passed the test as it has.
    used = trail.vectors[trail.chosen] < 1
    tested = [tuple(vector[used]) for vector in trail.vectors[: trail.accepted]]
    assert all(step.thresholds in tested for step in path.steps[: path.chosen])
