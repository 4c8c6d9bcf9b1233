"""A whole search on a small TA: within its limits, measured on texts that chose nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nestling.models import Checkpoint, DataError, NestlingError, StudentSpec
from nestling.models.evaluation.predictions import predict_all
from nestling.models.limits import check_name
from nestling.models.search.costs import StudentCosts
from nestling.models.search.division import divide
from nestling.models.search.evolution import Evolution
from nestling.models.search.found import SearchResult
from nestling.models.search.limits import SearchLimits
from nestling.models.search.run import SearchOptions, _name, search
from nestling.models.search.space import SearchSpace
from nestling.models.search.trials import Trials

SHA = "5eed" * 16
OPTIONS = SearchOptions(max_drop=0.2, seconds=2.0)
ENOUGH = 60
"""Students, of which one is always worth adding; on a busy machine a search asks fewer."""


def run(
    checkpoint: Checkpoint, texts: list[str], truth: torch.Tensor, options: SearchOptions = OPTIONS
) -> SearchResult:
    return search(checkpoint, texts, truth, "texts", SHA, options)


def test_it_tells_what_students_are_worth(
    checkpoint: Checkpoint, texts: list[str], truth: torch.Tensor
) -> None:
    found = run(checkpoint, texts, truth)
    assert found.looked_at + found.measured_on <= len(texts)
    assert found.asked >= len(checkpoint.students) - 1
    ta = found.students[-1]
    assert (ta.name, ta.accuracy, ta.flops, ta.known) == ("ta", 1.0, 1.0, True)
    assert {each.name for each in found.students} >= checkpoint.students.keys()
    for each in found.students:
        low, high = each.interval
        assert low <= each.accuracy <= high
        assert each.texts == found.measured_on
        assert not (each.known and each.added)
        each.spec.validate(checkpoint.architecture)
    assert len(found.added) <= OPTIONS.most
    assert found.added or found.asked < ENOUGH
    assert found.before.stages[-1] == "ta"
    assert set(found.after.stages) <= found.added.keys() | checkpoint.students.keys()


def test_nobody_beyond_the_limit_is_found(
    checkpoint: Checkpoint, texts: list[str], truth: torch.Tensor
) -> None:
    found = run(checkpoint, texts, truth, replace(OPTIONS, max_cost=0.2))
    assert all(each.cost <= 0.2 for each in found.students if not each.known)
    with pytest.raises(NestlingError, match=r"max-cost: 1e-07 is below what one layer of the"):
        run(checkpoint, texts, truth, replace(OPTIONS, max_cost=1e-7))


def test_limits_that_allow_no_student_there_is_still_ask_others(
    checkpoint: Checkpoint, texts: list[str], truth: torch.Tensor
) -> None:
    trials = Trials(checkpoint, checkpoint.tokenizer.encode(texts), truth, 60, 0.1)
    costs = StudentCosts(checkpoint.architecture, [8] * len(texts))
    known = [checkpoint.students[name].spec for name in ("small", "ta")]
    space = SearchSpace.of(checkpoint.architecture, known)
    cheapest = min(map(costs.share, [*known, *space.gradual()]))
    limits = SearchLimits(costs, 0.2, max_cost=0.9 * cheapest)
    evolution = Evolution(space, trials, costs.share, limits.allow, np.random.default_rng(0))
    evolution.begin(known)
    assert trials.asked == 0
    children = evolution._children()
    assert children
    assert all(map(limits.allow, children))


def test_the_limit_may_be_what_the_smallest_student_costs(
    checkpoint: Checkpoint, texts: list[str], truth: torch.Tensor
) -> None:
    trials = Trials(checkpoint, checkpoint.tokenizer.encode(texts), truth, 60, 0.1)
    costs = StudentCosts(checkpoint.architecture, [8] * len(texts))
    space = SearchSpace.of(checkpoint.architecture, [])
    least = costs.share(space.smallest)
    limits = SearchLimits(costs, 0.2, max_cost=least)
    limits.check(space.smallest)
    evolution = Evolution(space, trials, costs.share, limits.allow, np.random.default_rng(0))
    assert space.smallest in evolution._children()
    with pytest.raises(NestlingError, match=r"max-cost: .* is below what one layer of the least"):
        replace(limits, max_cost=0.99 * least).check(space.smallest)


@pytest.mark.parametrize(
    ("share", "name"),
    [
        (1e-7, "mix-0.00001"),
        (0.00005, "mix-0.005"),
        (0.0093, "mix-0.93"),
        (0.5, "mix-50"),
        (0.994, "mix-99"),
        (0.995, "mix-100"),
        (0.9999, "mix-100"),
        (1.0, "mix-100"),
    ],
)
def test_a_name_says_the_share_without_an_exponent(share: float, name: str) -> None:
    assert _name(share, []) == name
    assert _name(share, [name]) == f"{name}-2"
    check_name(_name(share, [name]), "student")


def test_too_few_texts_are_refused(
    checkpoint: Checkpoint, texts: list[str], truth: torch.Tensor
) -> None:
    with pytest.raises(DataError, match=r"60 different texts are too few .*: it takes 120"):
        run(checkpoint, texts[:60] * 3, truth[:60].repeat(3))


def test_texts_are_divided_by_their_hash() -> None:
    texts = [f"text {number}" for number in range(25_000)]
    first, again = divide(texts[:300], 10_000, SHA), divide(texts[:300], 10_000, SHA)
    other = divide(texts[:300], 999, "a1")
    assert first.rows.tolist() == again.rows.tolist() != other.rows.tolist()
    assert sorted(first.rows.tolist()) == list(range(300))
    assert (len(first.looking), len(first.measuring), first.first) == (200, 100, 50)
    assert divide(texts, 500, SHA).texts == 500
    assert divide(texts[:1_000], 3, SHA).texts == 120
    assert divide(texts, 30_000, SHA).texts == 20_000


def test_rows_of_one_text_stay_on_one_side() -> None:
    texts = [f"text {number}" for number in range(300)]
    rows = np.array([*texts, *(each.upper() for each in texts[:100]), *["text 7"] * 500])
    parts = divide(rows.tolist(), 10_000, SHA)
    looking, measuring = ({each.lower() for each in rows[side]} for side in (
        parts.looking, parts.measuring
    ))  # fmt: skip
    assert not looking & measuring
    assert (len(looking), len(measuring), parts.texts) == (200, 100, len(rows))


def test_as_many_rows_are_drawn_as_have_enough_different_texts() -> None:
    rows = np.array([f"text {number // 10}" for number in range(2_000)])
    parts = divide(rows.tolist(), 3, SHA)
    assert len(set(rows[parts.rows])) == 120
    assert parts.texts < 300
    with pytest.raises(DataError, match="119 different texts are too few"):
        divide(rows[:1_190].tolist(), 500, SHA)


def _cost(spec: StudentSpec) -> float:
    return 0.01 * len(spec.layers)


def test_the_same_seed_asks_the_same_students(
    checkpoint: Checkpoint, texts: list[str], truth: torch.Tensor
) -> None:
    def asked() -> list[object]:
        sequences = checkpoint.tokenizer.encode(texts)
        trials = Trials(checkpoint, sequences, truth, 60, 0.1)
        space = SearchSpace.of(checkpoint.architecture, [])
        rng = np.random.default_rng(3)
        evolution = Evolution(space, trials, _cost, lambda _: True, rng)
        for _ in range(3):
            evolution._generation(evolution._children())
        return [trial.spec for trial in evolution.best]

    assert asked() == asked() != []


def test_a_student_asked_in_two_rungs_is_as_right_as_asked_at_once(
    checkpoint: Checkpoint, texts: list[str], truth: torch.Tensor
) -> None:
    sequences, spec = checkpoint.tokenizer.encode(texts), checkpoint.students["small"].spec
    trials = Trials(checkpoint, sequences, truth, 60, 0.1)
    assert trials.ta.accuracy == 1.0
    first = trials.first(spec, 0.5)
    whole = trials.rest(first)
    assert (len(first.right), len(whole.right)) == (60, 240)
    assert trials.beginning(whole).kept == first.kept
    expected = predict_all(checkpoint, texts, "texts").labels("small") == truth
    assert whole.right.tolist() == expected.tolist()
    assert 0 <= whole.kept <= 1
