"""The parts of the program that changes one thing of the recipe: losses, orders, growth, data."""

from __future__ import annotations

import lzma
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.training.ablations.__main__ import chosen
from benchmarks.training.ablations.compare import ALPHA, Answers, compared, resampled
from benchmarks.training.ablations.growth import Seedling
from benchmarks.training.ablations.objectives import AloneLoss, GatekeeperLoss, gatekeeper_loss
from benchmarks.training.ablations.orders import order_of
from benchmarks.training.ablations.relations import TeacherRelations
from benchmarks.training.ablations.table import rows_of
from benchmarks.training.ablations.texts import SetFiles
from benchmarks.training.ablations.variants import VARIANTS, half_ffn, narrow
from nestling.models.errors import DataError
from nestling.models.heads import task_of
from nestling.models.nested.batch import PackedBatch
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.training.examples import Examples
from nestling.models.training.matta import JointTraining, Pool
from nestling.models.training.permutation import permute
from nestling.models.training.recipe import Recipe
from nestling.models.training.students import default_students

from ...conftest import tiny_architecture, tiny_model

SEQUENCES = ([2, 5, 6, 3], [2, 7, 3], [2, 8, 9, 10, 3])
LABELS = torch.tensor([0, 1, 2])


def packed(spec: StudentSpec) -> PackedBatch:
    return PackedBatch.of(list(SEQUENCES), spec)


def test_gatekeeper_keeps_right_answers_and_flattens_wrong_ones() -> None:
    logits = torch.tensor([[3.0, 0.0], [3.0, 0.0]], requires_grad=True)
    p = torch.tensor([3.0, 0.0]).softmax(0)
    right = -p[0].log()
    wrong = (p * p.log()).sum() + np.log(2)
    found = gatekeeper_loss(logits, torch.tensor([0, 1]), alpha=0.3)
    assert found.item() == pytest.approx((0.3 * right + 0.7 * wrong).item() / 2, rel=1e-5)
    torch.autograd.backward(found)
    gradient = logits.grad
    assert gradient is not None
    assert gradient[0, 0] < 0 < gradient[1, 0]  # one grows, the other falls


def test_a_uniform_wrong_answer_costs_nothing() -> None:
    assert gatekeeper_loss(torch.zeros(1, 4), torch.tensor([3]), 0.5).item() == pytest.approx(0)


def joint_training(model: NestedTransformer, recipe: Recipe) -> JointTraining:
    """Of one student, which is the TA, without a pool."""
    a = model.architecture
    train = Examples(task_of(a.head()), SEQUENCES, LABELS, LABELS)
    targets, empty = (
        torch.randn(3, len(a.head().labels)),
        Pool((), torch.zeros(0, len(a.head().labels))),
    )
    students = {"s": StudentSpec.full(a)}
    return JointTraining(model, students, train, targets, empty, train, recipe)


def test_a_student_alone_learns_what_the_recipe_teaches() -> None:
    """It is a student's loss of the joint training, before the TA's soft targets set in."""
    model, recipe = tiny_model(), Recipe()
    spec = StudentSpec.full(model.architecture)
    joint = joint_training(model, recipe)
    step = replace(joint.inputs(0, 0, 1)[0], ramp=0.0)
    expected = 2 * joint.module(step)["s"]  # which shares a step with the TA's
    found = AloneLoss(model, "s", spec, recipe, soft=True)(step)["s"]
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_losses_know_steps_in_which_the_ta_has_no_turn() -> None:
    model, recipe = tiny_model(), Recipe(ta_every=2)
    students = {"s": StudentSpec.full(model.architecture)}
    joint = joint_training(model, recipe)
    gatekeeper = GatekeeperLoss(joint.module, model, students, alpha=0.5)
    relations = TeacherRelations(joint.module, model, tiny_model(1), students, 0.1, 2)
    (both,), (alone,) = joint.inputs(0, 0, 1), joint.inputs(1, 0, 1)
    assert gatekeeper(both, True).keys() == relations(both).keys() == {"s", "ta"}
    assert gatekeeper(alone, True).keys() == {"s"}
    assert relations(both)["s"] > joint.module(both)["s"]
    assert torch.equal(relations(alone)["s"], joint.module(alone)["s"])
    for module in (gatekeeper, relations):  # as states have it: every weight once
        assert len(module.state_dict()) == len(model.state_dict())


@pytest.mark.parametrize("name", ["fisher", "magnitude"])
def test_an_order_leaves_the_ta_as_it_is_and_puts_the_greatest_first(name: str) -> None:
    a, model = tiny_architecture(), tiny_model().requires_grad_(True)
    full = StudentSpec.full(a)
    with torch.no_grad():
        model.block(1).down.weight[:, 7] *= 50
    order = order_of(name, model, model, [(packed(full), LABELS)])  # type: ignore[arg-type]
    assert order is not None
    assert order.ffn[1][0] == 7
    weights = {n: w.detach() for n, w in model.state_dict().items()}
    other = tiny_model()
    other.load_state_dict(permute(weights, order, a))
    with torch.no_grad():
        assert torch.allclose(other(packed(full)), model(packed(full)), atol=1e-4)


def test_no_order_is_none() -> None:
    assert order_of("none", tiny_model(), tiny_model(), []) is None


@pytest.mark.parametrize(("layers", "ffn"), [((0, 1, 2, 3), 32), ((0, 1, 3), 64)])
def test_a_ta_that_has_grown_has_the_same_students(layers: tuple[int, ...], ffn: int) -> None:
    a, model = tiny_architecture(), tiny_model(1)
    seedling = Seedling(a, layers, ffn)
    initial = tiny_model(2).state_dict()
    small = type(model)(seedling.architecture)
    small.load_state_dict(seedling.cut(model.state_dict()))
    model.load_state_dict(seedling.grown(small.state_dict(), initial))
    spec = StudentSpec((0, 3), 32, (2, 4), (16, 32))
    with torch.no_grad():
        before = small(packed(seedling.inside(spec)))
        assert torch.equal(model(packed(spec)), before)
        whole = model(packed(StudentSpec.full(a)))
        ta = small(packed(StudentSpec.full(seedling.architecture)))
    if ffn < a.ffn:  # new neurons put out nothing yet
        assert torch.allclose(whole, ta, atol=1e-5)

    seedling.freeze(model)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.0
    )
    for _ in range(2):  # in the first, what a new neuron reads has no gradient
        optimizer.zero_grad()
        torch.autograd.backward(model(packed(StudentSpec.full(a))).square().sum())
        optimizer.step()
    with torch.no_grad():
        assert torch.equal(model(packed(spec)), before)
        assert not torch.allclose(model(packed(StudentSpec.full(a))), whole)


def test_shapes_fit_in_the_ta() -> None:
    a = tiny_architecture()
    for students in (narrow(a), half_ffn(a)):
        for spec in students.values():
            spec.validate(a)
    assert narrow(a)["half"].dim * 2 == a.dim
    assert half_ffn(a).keys() == default_students(a).keys()


def test_what_a_variant_is_compared_with_runs_before_it() -> None:
    assert chosen(["narrow-fisher", "independent"]) == [
        "recipe",
        "independent",
        "narrow",
        "narrow-fisher",
    ]
    names = list(VARIANTS)
    for name, variant in VARIANTS.items():
        assert variant.against is None or names.index(variant.against) < names.index(name)


def answers(right: Tensor, score: Tensor) -> Answers:
    wrong = ~right.numpy().astype(bool)
    return Answers(right.numpy().astype(bool), score.double().numpy(), wrong)


def test_differences_are_paired() -> None:
    """A student that has twenty texts of a thousand more than another, in every seed."""
    torch.manual_seed(0)
    less = torch.rand(3, 1000) < 0.8
    more = less.clone()
    for row in more:
        row[torch.nonzero(~row)[:20, 0]] = True
    score = torch.rand(3, 1000)
    found = compared(answers(more, score), answers(less, score))
    assert found["accuracy_more"] == pytest.approx(0.02)
    low, high = found["accuracy_interval"]
    assert 0.01 < low < 0.02 < high < 0.03  # unpaired it would reach below 0
    assert "accuracy_more" not in compared(answers(more, score), None)


def test_the_table_marks_what_is_resolved() -> None:
    def line(variant: str, against: str | None, data: str, **measured: Any) -> dict[str, Any]:
        about = {"set": data, "variant": variant, "says": variant, "against": against}
        return {**about, "student": "half", "accuracy": 0.8, **measured}

    worse = {"accuracy_more": -0.021, "accuracy_interval": [-0.03, -0.01]}
    noise = {"accuracy_more": 0.004, "accuracy_interval": [-0.01, 0.02]}
    found = rows_of(
        [
            line("narrow", None, "trec"),
            line("unordered", "narrow", "trec", **worse),
            line("unordered", "narrow", "cr", **noise),
            line("wide", None, "trec"),
        ]
    )
    assert found == [
        "| trained | trec: `half` | cr: `half` |",
        "|---|---|---|",
        "| narrow | 80.0 % | |",
        "| unordered | **-2.1** (-3.0 to -1.0) | +0.4 (-1.0 to +2.0) |",
        "",
        "| trained | trec: `half` |",
        "|---|---|",
        "| wide | 80.0 % |",
    ]


def test_accepted_is_what_may_be_answered() -> None:
    """Surest first, until more than one text in a hundred is wrong: the third of 200."""
    right = torch.ones(1, 200)
    right[0, [10, 50, 90]] = 0
    score = torch.arange(200, 0, -1)[None]
    found = answers(right, score).accepted(resampled(200)[:1])
    assert ALPHA == 0.01
    assert found.tolist() == [[90 / 200]]


def test_a_set_is_unpacked(tmp_path: Path) -> None:
    source, rows = tmp_path / "source", [f'{{"text": "{i}\u2028a line of it"}}' for i in range(50)]
    source.mkdir()
    with lzma.open(source / "train.jsonl.xz", "wt", encoding="utf-8") as file:
        file.write("\n".join(rows))
    with pytest.raises(DataError, match=r"needs train\.jsonl and test\.jsonl"):
        SetFiles.of(source, tmp_path / "work")
    (source / "test.jsonl").write_text(rows[0], "utf-8")
    files = SetFiles.of(source, tmp_path / "work")
    assert files.train.read_text("utf-8") == "".join(f"{row}\n" for row in rows)
    assert files.test.read_text("utf-8") == f"{rows[0]}\n"
