"""What is tried, each against the recipe with one thing changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from nestling.models.nested.architecture import Architecture
from nestling.models.nested.spec import StudentSpec
from nestling.models.training.students import default_students

from .bench import Bench, Students
from .ways import RELATIONS, Trained, alone, gatekept, grown, jointly, related, turns_of, without_ta

Train = Callable[[Bench, str, Students], Trained]
"""The second argument names the folders of its states."""


@dataclass(frozen=True)
class Variant:
    """says: what differs from `against`, the variant it is compared with; None for those that
    others are compared with. students: of a TA.
    """

    says: str
    against: str | None
    students: Callable[[Architecture], dict[str, StudentSpec]]
    train: Train


def narrow(a: Architecture) -> dict[str, StudentSpec]:
    """Three of the TA's layers, at half and at three quarters of every width."""
    layers = tuple(dict.fromkeys((0, (a.layers - 1) // 2, a.layers - 1)))
    count = len(layers)

    def of(share: float) -> StudentSpec:
        heads, ffn = max(1, round(share * a.attention_heads)), round(share * a.ffn)
        return StudentSpec(layers, round(share * a.dim), (heads,) * count, (ffn,) * count)

    return {"half": of(0.5), "three-quarters": of(0.75)}


def half_ffn(a: Architecture) -> dict[str, StudentSpec]:
    """The default students with at most half of each FFN."""
    return {
        name: replace(spec, ffn=tuple(min(width, a.ffn // 2) for width in spec.ffn))
        for name, spec in default_students(a).items()
    }


RECIPE, NARROW, HALF_FFN = "recipe", "narrow", "half-ffn"


def _recipe(says: str, train: Train) -> Variant:
    return Variant(says, RECIPE, default_students, train)


def _narrow(says: str, train: Train) -> Variant:
    return Variant(says, NARROW, narrow, train)


VARIANTS: dict[str, Variant] = {
    RECIPE: Variant("the recipe", None, default_students, jointly),
    "labels-only": _recipe("each student alone, labels only", partial(alone, soft=False)),
    "plain-distillation": _recipe(
        "the teacher's soft targets in place of the TA's", partial(jointly, change=without_ta)
    ),
    "independent": _recipe(
        "each student alone, labels and the teacher's soft targets", partial(alone, soft=True)
    ),
    "every-student": _recipe("all students in each step", partial(turns_of, every=True)),
    "one-by-lot": _recipe("one student by lot in each step", partial(turns_of, every=False)),
    "ta-in-every-step": _recipe("the TA in each step", partial(jointly, ta_every=1)),
    "new-classifier": _recipe("a classifier from nothing", partial(jointly, probed=False)),
    "one-label-pool": _recipe(
        "recombined texts of one label each alone", partial(jointly, across=0.0)
    ),
    "gatekeeper-0.5": _recipe(
        "Gatekeeper's loss at the end, α = 0.5", partial(gatekept, alpha=0.5)
    ),
    "gatekeeper-0.2": _recipe(
        "Gatekeeper's loss at the end, α = 0.2", partial(gatekept, alpha=0.2)
    ),
    "grown-by-depth": _recipe(
        "the TA grows from three layers, students frozen", partial(grown, by="depth")
    ),
    NARROW: Variant("the recipe, narrow students", None, narrow, jointly),
    "narrow-fisher": _narrow("ordered by Fisher information", partial(jointly, order="fisher")),
    "narrow-magnitude": _narrow("ordered by magnitude", partial(jointly, order="magnitude")),
    "narrow-unordered": _narrow("not ordered", partial(jointly, order="none")),
    "narrow-relations-of-ta": _narrow(
        "relations of the TA", partial(jointly, relation_weight=RELATIONS)
    ),
    "narrow-relations-of-teacher": _narrow("relations of the teacher", related),
    HALF_FFN: Variant("the recipe, students with half FFNs", None, half_ffn, jointly),
    "grown-by-width": Variant(
        "the TA grows from half FFNs, students frozen",
        HALF_FFN,
        half_ffn,
        partial(grown, by="width"),
    ),
}
"""By the name that `--only` takes; what others are compared with stands before them."""
