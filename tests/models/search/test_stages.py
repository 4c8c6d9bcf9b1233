"""The cascade that a search plans: cheaper where it can be, and with no student too many."""

from __future__ import annotations

import numpy as np

from nestling.models.calibration.evidence import Evidence
from nestling.models.search.stages import cheapest_stages

TEXTS = 400


def evidence(costs: list[float], wrong: list[float]) -> Evidence:
    """Students that are sure where they are right; each wrong of the last texts."""
    place = np.arange(TEXTS) / TEXTS
    score = np.stack([np.clip(1 - share - place * (1 - share), 0.01, 0.99) for share in wrong])
    lost = np.stack([place >= 1 - share for share in wrong])
    cost = np.repeat(np.array(costs)[:, None], TEXTS, axis=1)
    return Evidence(score.astype(np.float32), lost, cost, 1e-4)


def test_a_good_cheap_student_comes_before_the_ta() -> None:
    found = cheapest_stages(evidence([0.1, 1.0], [0.2, 0.0]), 0.02)
    assert found.rows == (0, 1)
    cost, lost = found.measured(evidence([0.1, 1.0], [0.2, 0.0]))
    assert cost < 0.6
    assert lost <= 0.05


def test_a_student_that_is_no_better_is_not_added() -> None:
    alike = evidence([0.099, 0.1, 1.0], [0.2, 0.2, 0.0])
    assert cheapest_stages(alike, 0.02, new=[0]).rows == (1, 2)
    assert cheapest_stages(alike, 0.02).rows[0] == 0
    cheaper = evidence([0.05, 0.1, 1.0], [0.2, 0.2, 0.0])
    assert 0 in cheapest_stages(cheaper, 0.02, new=[0]).rows


def test_the_ta_alone_where_nobody_is_cheaper() -> None:
    assert cheapest_stages(evidence([1.5, 1.0], [0.2, 0.0]), 0.02).rows == (1,)
    assert cheapest_stages(evidence([1.0], [0.0]), 0.02).rows == (0,)
