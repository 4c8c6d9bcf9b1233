"""How a variant trains its students, from the bench to who answers."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from nestling.models.checkpoint.manifest import TA
from nestling.models.nested.spec import StudentSpec
from nestling.models.nested.trunk import NestedTransformer
from nestling.models.training.matta import StepInputs
from nestling.models.training.students import default_students

from .bench import Bench, Students
from .growth import Seedling
from .objectives import LATE, AloneLoss, Change, ChangedTraining, GatekeeperLoss, unchanged
from .orders import OrderName
from .relations import TeacherRelations

RELATIONS = 0.1
"""Weight of the relation loss."""


@dataclass(frozen=True)
class Trained:
    """Who answers: by student's name, whose part. said: further numbers of the run."""

    answering: Mapping[str, tuple[NestedTransformer, StudentSpec]]
    said: Mapping[str, float] = field(default_factory=dict)


def together(model: NestedTransformer, bench: Bench, students: Students) -> Trained:
    """TA and students, out of one training."""
    everyone = {**students, TA: bench.full}
    return Trained({name: (model, spec) for name, spec in everyone.items()})


def jointly(
    bench: Bench,
    name: str,
    students: Students,
    change: Change = unchanged,
    order: OrderName = "first-order",
    probed: bool = True,
    **fields: Any,
) -> Trained:
    """The recipe, with other turns or targets, another order or classifier, or other `fields`."""
    model = bench.model(order, probed)
    recipe = replace(bench.recipe, **fields)
    bench.optimise(name, ChangedTraining(bench.joint(model, students, recipe), change))
    return together(model, bench, students)


def without_ta(inputs: StepInputs, step: int) -> StepInputs:
    """The teacher's soft targets for all."""
    return replace(inputs, ramp=0.0)


def turns_of(bench: Bench, name: str, students: Students, every: bool) -> Trained:
    """Every student in each step, or one by lot."""
    names = list(students)

    def change(inputs: StepInputs, step: int) -> StepInputs:
        if every:
            return replace(inputs, students=tuple(names))
        lot = np.random.default_rng([bench.recipe.seed, step]).integers(len(names))
        return replace(inputs, students=(names[int(lot)],))

    return jointly(bench, name, students, change)


def alone(bench: Bench, name: str, students: Students, soft: bool) -> Trained:
    """Each student by itself from the same slice, for as many steps as the recipe has."""
    recipe = bench.recipe if soft else replace(bench.recipe, pool_batch=0)
    found = {}
    for student, spec in students.items():
        model = bench.model()
        loss = AloneLoss(model, student, spec, recipe, soft)
        objective = bench.joint(model, {student: spec}, recipe)
        bench.optimise(f"{name}/{student}", ChangedTraining(objective, module=loss))
        found[student] = (model, spec)
    return Trained(found)


def gatekept(bench: Bench, name: str, students: Students, alpha: float) -> Trained:
    """The recipe, and at the end Gatekeeper's loss for the students."""
    model = bench.model()
    objective = bench.joint(model, students)
    loss = GatekeeperLoss(objective.module, model, students, alpha)
    late = round(LATE * bench.recipe.joint.steps)
    bench.optimise(name, ChangedTraining(objective, module=loss, late_from=late))
    return together(model, bench, students)


def related(bench: Bench, name: str, students: Students) -> Trained:
    """The recipe, and relations straight from the teacher, whose encoder the TA begins as."""
    model = bench.model()
    objective = bench.joint(model, students)
    teacher, heads = deepcopy(model), bench.recipe.relation_heads
    loss = TeacherRelations(objective.module, model, teacher, students, RELATIONS, heads)
    bench.optimise(name, ChangedTraining(objective, module=loss))
    return together(model, bench, students)


def grown(bench: Bench, name: str, students: Students, by: Literal["depth", "width"]) -> Trained:
    """Half of the steps for a smaller TA and its students, half for what the TA grows by."""
    a, joint = bench.architecture, bench.recipe.joint
    half = joint.steps // 2
    layers = default_students(a)["medium"].layers if by == "depth" else tuple(range(a.layers))
    seedling = Seedling(a, layers, a.ffn // 2 if by == "width" else a.ffn)
    small = bench.loaded(seedling.architecture, seedling.cut(bench.initial()))
    inside = {student: seedling.inside(spec) for student, spec in students.items()}
    recipe = replace(bench.recipe, joint=replace(joint, steps=half))
    bench.optimise(f"{name}/before", ChangedTraining(bench.joint(small, inside, recipe)))
    before = {n: bench.logits(small, spec, n) for n, spec in inside.items()}
    ta_before = bench.logits(small, StudentSpec.full(seedling.architecture), TA)

    model = bench.loaded(a, seedling.grown(small.state_dict(), bench.initial()))
    ta_just_grown = bench.logits(model, bench.full, TA)
    seedling.freeze(model)
    recipe = replace(
        bench.recipe,
        joint=replace(joint, steps=joint.steps - half, weight_decay=0.0),
        pool_batch=bench.recipe.pool_ta,  # as many as it sees in the recipe
    )
    loss = AloneLoss(model, TA, bench.full, recipe, soft=True)
    second = ChangedTraining(bench.joint(model, {TA: bench.full}, recipe), module=loss)
    bench.optimise(f"{name}/after", second)
    after = {n: bench.logits(model, spec, n) for n, spec in students.items()}
    said = {
        "ta_before_growth": bench.accuracy(ta_before),
        "ta_just_grown": bench.accuracy(ta_just_grown),
        "students_logits_moved": max((after[n] - before[n]).abs().max().item() for n in after),
    }
    return replace(together(model, bench, students), said=said)
