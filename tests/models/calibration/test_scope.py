"""Scopes: what they keep, what a text outside does to a risk, and what records keep of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom

from nestling.cli.recalibrate import to_the_ta
from nestling.models import DataError, NestlingError
from nestling.models.calibration.evidence import accepts
from nestling.models.calibration.gather import ABSTAINS, gather
from nestling.models.calibration.groups import TextGroups
from nestling.models.calibration.learn_then_test import Split, split_groups
from nestling.models.calibration.path import estimated_risk, threshold_path
from nestling.models.calibration.recalibrate import recalibrate
from nestling.models.calibration.scope import (
    Scopes,
    ScopeTarget,
    check_enough,
    count_strangers,
    halves,
    limit_of,
)
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.policy import Cascade, Stage
from nestling.models.cascade.scope import ScopePromise
from nestling.models.cascade.score import Score
from nestling.models.evaluation.predictions import Predictions

from ...conftest import task_with
from .test_recalibrate import cascade, population

MARGIN = 1e-5


def test_a_scope_keeps_what_it_promises() -> None:
    """Of a share that is known; it goes about as far as it may."""
    fixing, kept, delta, redraws = 200, 0.9, 0.05, 1000
    place = check_enough(fixing, ScopeTarget(kept), 1 - delta)
    broken, shares = 0, []
    for seed in range(redraws):
        energies = np.random.default_rng(seed).uniform(0.5, 1, fixing).astype(np.float32)
        limit = limit_of(energies, place, MARGIN)
        shares.append((1 - (limit + MARGIN)) / 0.5)
        broken += shares[-1] < kept
    assert binom.sf(broken - 1, redraws, delta) > 1e-3, f"{broken} of {redraws}"
    assert np.mean(shares) < 0.95


def test_too_few_texts_are_refused_with_the_number_that_would_do() -> None:
    assert check_enough(59, ScopeTarget(0.95), 0.95) == 1
    with pytest.raises(DataError, match=r"scope: 58 texts .* it takes 59"):
        check_enough(58, ScopeTarget(0.95), 0.95)
    for kept in (0.0, 1.0, float("nan")):
        with pytest.raises(NestlingError, match=r"scope: .* is not between 0 and 1"):
            ScopeTarget(kept)


def test_temperatures_and_scopes_are_fitted_on_different_texts() -> None:
    parts = Split(np.arange(101), np.arange(101, 200))
    fitting, fixing = halves(parts)
    assert not set(fitting) & set(fixing)
    assert sorted([*fitting, *fixing]) == parts.ordering.tolist()


def test_the_same_share_of_each_group_fixes_scopes() -> None:
    """As a scope is promised of all texts together; the order takes unlike shares of them."""
    groups = TextGroups.by("lang", ["de"] * 400 + ["en"] * 1200)
    parts = split_groups(groups, 0.02, 0.95, 3)
    shares = groups.select(parts.ordering).sizes
    assert shares[0] / 400 > 1.2 * shares[1] / 1200
    fitting, fixing = halves(parts, groups)
    assert sorted([*fitting, *fixing]) == sorted(parts.ordering)
    counts = groups.select(fixing).sizes
    assert counts[0] / 400 == pytest.approx(counts[1] / 1200, abs=1 / 400)
    assert counts[1] == shares[1] // 2


def test_an_energy_of_nothing_is_no_scope() -> None:
    assert limit_of(np.full(10, 1e-5, np.float32), 3, MARGIN) == 0.0


def some(labels: list[list[int]]) -> Predictions:
    """Students that answer so, with a margin that grows from text to text."""
    students = tuple(stage.student for stage in cascade().stages)
    logits = {}
    for student, row in zip(students, labels, strict=True):
        each = torch.zeros(len(row), 4, dtype=torch.float64)
        each[torch.arange(len(row)), torch.tensor(row)] = torch.arange(len(row)).double() + 1
        logits[student.name] = each
    return Predictions(task_with(4), students, logits, ((1, 2),) * len(labels[0]))


def test_no_accuracy_is_lost_where_the_ta_gives_no_label_but_it_disagrees() -> None:
    """Texts by what the TA does: right and inside, right and outside, wrong and inside, outside."""
    truth = torch.tensor([1, 1, 1, 1])
    predictions = some([[2, 2, 2, 1], [1, 1, 1, 1], [1, 1, 3, 3]])
    inside = np.ones((3, 4), np.bool_)
    inside[2] = [True, False, True, False]
    inside[0, 0] = False
    scopes, outside = Scopes(np.zeros(3), inside), torch.tensor([False, True, False, True])
    given = predictions, {"tiny": 1.0, "small": 1.0, "ta": 1.0}, Score.MARGIN
    kept = predictions.labels("ta").masked_fill(outside, ABSTAINS)

    def losses(reference: torch.Tensor) -> list[list[bool]]:
        args = (given[0], reference, given[1], given[2], np.ones((3, 4)), MARGIN, kept, scopes)
        found = gather(*args)
        assert (found.score[~inside] == 0).all()
        assert (found.score[inside] > 0.5).all()
        return found.loss.tolist()

    assert losses(truth) == [
        [True, False, False, False],
        [False] * 4,
        [False] * 4,
    ]
    assert losses(kept) == [
        [True, True, True, True],
        [False, True, True, True],
        [False] * 4,
    ]


def test_a_last_student_that_abstains_in_place_of_the_ta_is_tested_so() -> None:
    """Out of its scope it is right of no text, whatever it would say; and agrees with no label."""
    predictions, inside = some([[1, 1], [1, 1], [1, 1]]), np.ones((3, 2), np.bool_)
    inside[1, 0] = False
    names, cost = {"tiny": 1.0, "small": 1.0, "ta": 1.0}, np.ones((3, 2))
    for limit, lost in ((0.5, True), (0.0, False)):  # a TA without a scope: nothing abstains
        scopes = Scopes(np.array([0.5, 0.5, limit]), inside)
        args = predictions, torch.tensor([1, 1]), names, Score.MARGIN, cost, MARGIN
        loss = gather(*args, None, scopes).loss
        assert loss.astype(bool).tolist() == [[False, False], [lost, False], [False, False]]


def test_nothing_outside_is_accepted_on_the_path_or_learned_from() -> None:
    predictions = some([[2] * 60, [1] * 60, [1] * 60])
    inside = np.ones((3, 60), np.bool_)
    inside[0, ::3] = False
    names = {"tiny": 1.0, "small": 1.0, "ta": 1.0}
    truth, cost = torch.ones(60, dtype=torch.int64), np.ones((3, 60)) * [[1], [2], [100]]
    scopes = Scopes(np.zeros(3), inside)
    found = gather(predictions, truth, names, Score.MARGIN, cost, MARGIN, None, scopes)
    risk = estimated_risk(found)
    for vector in threshold_path(found, risk):
        assert not accepts(found.score[0], vector[0], MARGIN)[::3].any()
    flipped = replace(found, loss=found.loss ^ ~inside)
    assert (estimated_risk(flipped) == risk)[inside].all()


def test_strangers_are_counted_as_they_would_be_routed() -> None:
    predictions = some([[2] * 10, [1] * 10, [1] * 10])
    students = predictions.students
    energies = predictions.scores("tiny", 1.25, Score.ENERGY).numpy()
    scope = float(energies[3] + energies[4]) / 2
    stages = [Stage(students[0], 0.9, Score.MARGIN, scope), Stage(students[2], 0.0, scope=scope)]
    found = count_strangers(predictions, stages, MARGIN, "f" * 64)
    assert found.inside == (0.6, 0.6)
    assert found.accepted == (0.6, 0.6)
    assert (found.reach_last, found.answered, found.texts) == (0.4, 0.6, 10)
    promise = ScopePromise(0.9, 0.95, 100, (0.95, 0.95), found)
    assert ScopePromise.from_json(promise.to_json()) == promise
    with pytest.raises(ValueError, match=r"scope: kept: 1\.5"):
        ScopePromise.from_json({**promise.to_json(), "kept": 1.5})


def test_a_recalibration_keeps_the_scopes() -> None:
    """And tests with them: a text outside passes on, and the TA that abstains answers nothing."""
    rng = np.random.default_rng(1)
    served = cascade()
    scoped = tuple(replace(stage, scope=0.5) for stage in served.stages)
    promise = ScopePromise(0.9, 0.95, 100, (0.9, 0.9, 0.9))
    served = replace(served, stages=scoped, scope=promise)
    records = [
        replace(
            record,
            stages=tuple(
                replace(asked, energy=float(energy))
                for asked, energy in zip(record.stages, rng.uniform(0.45, 1, 3), strict=True)
            ),
        )
        for record in population()[:4000]
    ]
    found = recalibrate(served, records, RiskTarget(0.15, 0.9, "disagreement"))
    assert {stage.scope for stage in found.cascade.stages} == {0.5}
    assert found.cascade.scope
    assert found.cascade.scope.kept == 0.9
    assert len(found.cascade.scope.observed) == len(found.cascade.stages)
    without = recalibrate(cascade(), records, RiskTarget(0.15, 0.9, "disagreement"))
    assert found.cascade.forecast.relative_flops > without.cascade.forecast.relative_flops


@pytest.mark.parametrize("abstains", [True, False])
def test_a_recalibration_that_ends_before_the_ta_abstains_only_if_the_cascade_did(
    abstains: bool,
) -> None:
    served = cascade()
    limits = (0.5, 0.5, 0.5 if abstains else 0.0)
    pairs = zip(served.stages, limits, strict=True)
    promise = ScopePromise(0.9, 0.95, 100, (0.9, 0.9, 0.9))
    served = replace(served, stages=tuple(replace(s, scope=x) for s, x in pairs), scope=promise)
    records = [
        replace(record, stages=tuple(replace(asked, energy=0.8) for asked in record.stages))
        for record in population()[:3000]
    ]
    found = recalibrate(served, records, RiskTarget(0.7, 0.9, "disagreement")).cascade
    assert found.stages[-1].student.name != "ta"
    assert found.abstains == abstains


def test_a_stage_that_ends_the_cascade_loses_what_it_gives_no_label() -> None:
    """Where the TA abstains, so does whoever answers last; else that has no scope."""
    predictions, truth = some([[1] * 4] * 3), torch.ones(4, dtype=torch.int64)
    inside = np.ones((3, 4), np.bool_)
    inside[0, :2] = inside[2, 0] = False
    kept = truth.masked_fill(torch.from_numpy(~inside[2]), ABSTAINS)
    names, cost = {"tiny": 1.0, "small": 1.0, "ta": 1.0}, np.ones((3, 4))

    def losses(limit: float) -> list[bool]:
        scopes = Scopes(np.array([0.5, 0.5, limit]), inside)
        found = gather(predictions, truth, names, Score.MARGIN, cost, MARGIN, kept, scopes)
        return found.loss[0].astype(bool).tolist()

    assert losses(0.5) == [False, True, False, False]
    assert losses(0.0) == [False] * 4


def test_a_recalibration_may_end_before_the_ta_and_abstains_only_as_it_did() -> None:
    served = cascade()
    records = [
        replace(
            record,
            stages=tuple(replace(asked, label=0, energy=0.9) for asked in record.stages),
        )
        for record in population()[:400]
    ]
    for abstains in (False, True):
        scoped = tuple(
            replace(stage, scope=0.5 if abstains or stage.threshold else 0.0)
            for stage in served.stages
        )
        found = recalibrate(
            replace(served, stages=scoped), records, RiskTarget(0.1, 0.9, "disagreement")
        ).cascade
        assert [stage.student.name for stage in found.stages] == ["tiny"]
        assert found.abstains == abstains


def test_the_ta_comes_back_without_a_scope() -> None:
    """To a cascade that ended before it."""
    tiny, _, ta = cascade().stages
    promise = ScopePromise(0.9, 0.95, 100, (1.0,))
    alone = Cascade("all", (replace(tiny, threshold=0.0),), scope=promise)
    target = RiskTarget(0.15, 0.9, "disagreement")
    found = recalibrate(to_the_ta(alone, ta.student), population()[:4000], target).cascade
    assert [stage.student.name for stage in found.stages] == ["tiny", "ta"]
    assert found.scope == replace(promise, observed=(1.0, 1.0))
