"""The numbers that a training finds: from the data, the minutes, the held-out part."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest
import torch

from nestling.models.errors import NestlingError
from nestling.models.training.best import PATIENCE, Best
from nestling.models.training.budget import Budget
from nestling.models.training.held_out import MOST, split
from nestling.models.training.plan import (
    LONGEST,
    SHORTEST,
    Wishes,
    longest_text,
    planned,
    planned_further,
)
from nestling.models.training.recipe import Recipe
from nestling.models.training.trial import bfloat16_is_faster, seconds_per_step
from nestling.models.training.verdict import HeldOutVerdict


def test_steps_grow_with_the_data_but_slower() -> None:
    few, many = (planned(Wishes(), [12] * texts, 6) for texts in (1_000, 16_000))
    assert 3 < many.joint.steps / few.joint.steps < 5
    assert planned(Wishes(), [12] * 1_000, 150).joint.steps > few.joint.steps
    assert planned(Wishes(), [12] * 20, 2).joint.steps >= 100, "a few texts need steps, too"
    assert few.finetune.steps == round(few.joint.steps / 2)


def test_texts_without_labels_make_the_students_train_longer() -> None:
    alone, with_more = (planned(Wishes(), [12] * 300, 6, more) for more in (0, 5_000))
    assert with_more.joint.steps > 2 * alone.joint.steps
    assert with_more.finetune.steps == alone.finetune.steps


def test_further_training_is_shorter_and_gentler() -> None:
    first = planned(Wishes(), [12] * 4_000, 6)
    further = planned_further(Wishes(), [12] * 4_000, 6)
    assert further.joint.steps == round(first.joint.steps / 3)
    assert further.joint.learning_rate == pytest.approx(0.4 * first.joint.learning_rate)
    wished = planned_further(Wishes(steps=9, learning_rate=0.1), [12] * 4_000, 6)
    assert (wished.joint.steps, wished.joint.learning_rate) == (9, 0.1)


def test_a_step_of_long_texts_has_fewer() -> None:
    short, long = (planned(Wishes(), [tokens] * 5_000, 2) for tokens in (10, 250))
    assert (short.joint.batch_size, short.pool_batch, short.finetune.batch_size) == (32, 96, 64)
    assert long.joint.batch_size == 8
    assert long.pool_batch == 24
    assert long.finetune.batch_size == 16
    assert long.pool < short.pool
    assert long.joint.learning_rate == pytest.approx(short.joint.learning_rate / 4)
    assert long.finetune.steps > 1.9 * short.finetune.steps, "a teacher sees them more than once"
    wished = planned(Wishes(learning_rate=1e-3), [250] * 5_000, 2)
    assert wished.joint.learning_rate == 1e-3


def test_what_the_user_says_holds() -> None:
    recipe = planned(Wishes(steps=30, batch_size=5, learning_rate=0.1, pool=2, seed=3), [9] * 50, 4)
    assert (recipe.joint.steps, recipe.joint.batch_size, recipe.seed) == (30, 5, 3)
    assert recipe.joint.learning_rate == 0.1
    assert recipe.pool == 100


def test_nearly_all_texts_are_read_to_their_end() -> None:
    assert longest_text([5] * 100) == SHORTEST
    assert longest_text([5] * 90 + [70] * 10) == 80
    assert longest_text([5] * 99 + [70]) == SHORTEST
    assert longest_text([4_000] * 100) == LONGEST


@pytest.mark.parametrize(("texts", "labels"), [(20, 2), (300, 150), (500, 3), (30_000, 7)])
def test_held_out_texts_never_train_and_no_label_is_lost(texts: int, labels: int) -> None:
    names = [str(i % labels) for i in range(texts)]
    sets = [(name,) for name in names]
    train, held = split([f"text {i}" for i in range(texts)], sets, seed=0)
    assert sorted(train + held) == list(range(texts))
    assert 0 < len(held) <= min(MOST, texts // 10)
    assert {names[i] for i in train} == set(names)
    counts = Counter(names)
    assert all(2 * n <= counts[label] for label, n in Counter(names[i] for i in held).items())
    assert (train, held) == split([f"text {i}" for i in range(texts)], sets, seed=0)
    assert held != split([f"text {i}" for i in range(texts)], sets, seed=1)[1]


def test_repeated_texts_stay_on_one_side() -> None:
    texts = [f"Text  {i // 3}" if i % 2 else f"text {i // 3}" for i in range(300)]
    train, held = split(texts, [("a",), ("b",)] * 150, seed=0)
    assert held
    assert not {i // 3 for i in train} & {i // 3 for i in held}


def test_a_label_with_one_text_trains() -> None:
    train, _ = split([str(i) for i in range(100)], [("rare",)] + [("other",)] * 99, seed=0)
    assert 0 in train


def test_each_of_several_labels_counts_by_itself() -> None:
    """Sets of labels that never repeat are held out; but no label loses half of its texts."""
    names = [f"label {i}" for i in range(9)]
    sets = [tuple(n for bit, n in enumerate(names) if i >> bit & 1) for i in range(511)]
    sets.append(("rare",))
    train, held = split([f"text {i}" for i in range(512)], sets, seed=0)
    assert len(held) == 51
    assert 511 in train
    held_of, all_of = (Counter(n for i in rows for n in sets[i]) for rows in (held, range(512)))
    assert all(2 * held_of[name] <= all_of[name] for name in all_of)


def test_the_latest_state_within_noise_is_kept() -> None:
    best = Best(texts=400)  # a standard error of 1.5 points at 90 %
    assert best.saw(0.90, 10)
    assert best.saw(0.89, 20), "within a standard error"
    assert not best.saw(0.87, 30)
    assert not best.stop
    for step in range(PATIENCE - 1):
        assert not best.saw(0.86, 40 + step)
    assert best.stop
    assert best.kept == 20


def test_who_always_says_the_same_has_gone_astray() -> None:
    best = Best(texts=400, floor=0.51)
    for step in range(PATIENCE):
        assert not best.stop
        best.saw(0.51, step)
    assert best.astray
    assert best.stop
    slow = Best(texts=400, floor=0.51)
    assert all(slow.saw(score, step) for step, score in enumerate((0.5, 0.5, 0.6, 0.59, 0.6)))
    assert not slow.saw(0.5, 6)
    assert not slow.astray, "it has learnt something before"
    few = Best(texts=0, floor=0.51)
    assert all(few.saw(0.5, step) for step in range(5))
    assert not few.stop


def test_a_perfect_score_leaves_room_for_noise() -> None:
    best = Best(texts=200)
    assert best.saw(1.0, 1)
    assert best.saw(0.995, 2)
    assert not best.saw(0.97, 3)


def test_a_few_texts_choose_nothing() -> None:
    best = Best(texts=0)
    assert all(best.saw(score, step) for step, score in enumerate((0.9, 0.1, 0.0)))
    assert not best.stop


def right(*wrong: int) -> torch.Tensor:
    found = torch.ones(100, dtype=torch.bool)
    found[list(wrong)] = False
    return found


def test_a_ta_that_is_worse_beyond_noise_is_told() -> None:
    quiet = HeldOutVerdict({"tiny": right(0, 1), "ta": right(0, 1, 2)}, right(3, 4))
    assert len(quiet.lines("ta")) == 1
    assert (
        "100 texts: teacher 98.0 ± 1.4 %  tiny 98.0 ± 1.4 %  ta 97.0 ± 1.7 %"
        in quiet.lines("ta")[0]
    )
    worse = HeldOutVerdict({"ta": right(*range(10))}, right(0))
    first, second = worse.lines("ta")
    assert first.startswith("held-out accuracy of what is written")
    assert "the TA is 9.0 points worse than its teacher, beyond noise (p = 0.002)" in second
    assert "--minutes" in second
    assert worse.to_json("ta")["teacher_accuracy"] == 0.99
    assert worse.p_value("ta") == pytest.approx(0.5**9)  # nine of nine, a coin each


def test_nothing_held_out_is_said() -> None:
    nothing = HeldOutVerdict({"ta": right()[:0]}, right()[:0])
    assert nothing.lines("ta") == ["no texts held out: there are too few"]
    assert nothing.to_json("ta") == {"texts": 0}


def test_minutes_shorten_what_does_not_fit() -> None:
    recipe = Recipe()
    assert Budget(None).before_fine_tuning(recipe, 1.0) is recipe
    assert Budget(None).before_joint_training(recipe, 1.0) is recipe
    short = Budget(10).before_fine_tuning(recipe, seconds=1.0)
    assert short.finetune.steps == 150
    assert short.pool == round(0.15 * 600 / (1 / 3 / 64))
    long = Budget(10_000).before_fine_tuning(recipe, seconds=1.0)
    assert long == recipe, "more minutes do not fine-tune longer"
    joint = Budget(10, started=time.monotonic() - 300).before_joint_training(recipe, seconds=0.5)
    assert 530 <= joint.joint.steps <= 540
    more = Budget(10_000).before_joint_training(replace(recipe), seconds=0.5)
    assert more.joint.steps == 4 * recipe.joint.steps


def test_minutes_count_evaluations_and_soft_targets() -> None:
    recipe = Recipe()
    step = 1 / 3 / 64  # of judging a text, where a step of the teacher takes a second
    evaluated = Budget(10).before_fine_tuning(recipe, seconds=1.0, held_out=1000)
    assert evaluated.finetune.steps == int(150 - 10 * 1000 * step)
    with pytest.raises(NestlingError, match=r"--minutes: 10 are too few: .* 60,000 texts alone"):
        Budget(10).before_fine_tuning(recipe, seconds=1.0, judged=60_000)
    half = Budget(10, started=time.monotonic() - 300)
    joint = half.before_joint_training(recipe, seconds=0.5, held_out=1024)
    assert 490 <= joint.joint.steps <= 500, "ten times 1,024 texts are 40 steps"


def test_a_trial_counts_each_kind_of_step() -> None:
    weight = torch.ones(8, 8, requires_grad=True)
    seen = []

    def loss(step: int) -> torch.Tensor:
        seen.append(step % 2)
        return (weight @ weight).sum()

    device = torch.device("cpu")
    assert seconds_per_step(loss, device, bfloat16=False) > 0
    assert set(seen) == {0, 1}
    faster, ratio, seconds = bfloat16_is_faster(loss, device)
    assert faster == (ratio > 1 / 0.9)
    assert seconds > 0
