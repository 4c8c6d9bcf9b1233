"""The path that a calibration tested, and what more texts would buy on it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from nestling.models.calibration.choice import Choice
from nestling.models.calibration.outlook import CHANCE, ROOM, SHARES, outlooks
from nestling.models.calibration.recalibrate import Recalibrated, recalibrate
from nestling.models.calibration.samples import sample

from .test_recalibrate import BY, TARGET, cascade, population

TEXTS = 900


@cache
def calibrated() -> Recalibrated:
    return recalibrate(cascade(), population()[:TEXTS], TARGET, BY)


def choice() -> Choice:
    return calibrated().choice


def test_the_trail_is_what_was_decided_by() -> None:
    found, trail = calibrated(), choice().trail
    guarantee, forecast = found.cascade.guarantee, found.cascade.forecast
    assert guarantee is not None
    assert forecast is not None
    assert trail.losses[trail.chosen] == choice().losses <= choice().allowed
    assert trail.risks[trail.chosen] == guarantee.observed_risk
    assert set(trail.tested) == {guarantee.examples}
    assert trail.confidence == guarantee.confidence
    assert trail.cost[trail.chosen] == pytest.approx(forecast.relative_seconds)
    used = trail.vectors[trail.chosen] < 1
    assert trail.shares[trail.chosen][used] == pytest.approx(forecast.shares)
    names = [cascade().stages[row].student.name for row in np.array(trail.rows)[used]]
    assert names == [stage.student.name for stage in found.cascade.stages]


def test_its_bounds_tell_where_the_walk_ended() -> None:
    trail = choice().trail
    passed = trail.bounds <= TARGET.alpha
    assert passed[: trail.accepted].all()
    assert not passed[trail.accepted]
    assert trail.cost[trail.chosen] == trail.cost[: trail.accepted].min()
    assert (trail.risks <= trail.bounds).all()
    assert trail.shares.sum(axis=1) == pytest.approx(np.ones(len(trail.cost)))


def test_more_texts_buy_a_smaller_promise_where_the_risk_is_below_it() -> None:
    trail = choice().trail
    found = list(outlooks(trail, TARGET.alpha))
    assert [each.alpha for each in found if each.vector == trail.chosen] == [
        share * TARGET.alpha for share in SHARES
    ]
    assert len(found) == 2 * len(SHARES)
    for each in found:
        risk = trail.risks[each.vector]
        if risk >= each.alpha:
            assert each.texts is None
            continue
        assert each.texts is not None
        enough = sample(each.texts, each.alpha, TARGET.confidence)
        fewer = sample(each.texts - 1, each.alpha, TARGET.confidence)
        assert enough.chance(risk) >= CHANCE > fewer.chance(risk)
        if each.vector != trail.chosen:
            room = (trail.risks <= ROOM * each.alpha) & (trail.cost < 1)
            assert trail.cost[each.vector] == trail.cost[room].min()
