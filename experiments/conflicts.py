"""What must hold between experiments, so that each can trust its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from .definition import Experiment
from .errors import Problem


def conflicts(experiments: Sequence[Experiment]) -> list[Problem]:
    """Every conflict between any two."""
    return [
        problem
        for (first, one), (second, other) in combinations(enumerate(experiments), 2)
        for problem in _conflicts(one, f"experiments[{first}]", other, f"experiments[{second}]")
    ]


def _conflicts(one: Experiment, place: str, other: Experiment, path: str) -> Iterator[Problem]:
    if one.name == other.name:
        yield Problem(f"{path}.name", f"{other.name!r} is there twice")
    if one.salt == other.salt:
        yield Problem(
            f"{path}.salt",
            f"{other.salt!r} is also the salt of {place}, {one.name!r}: both would split their "
            "units the same way",
        )
    same_layer = one.layer.name == other.layer.name
    if not same_layer and one.layer.salt == other.layer.salt:
        yield Problem(
            f"{path}.layer",
            f"{other.layer.name!r} has the salt of the layer {one.layer.name!r}, {one.layer.salt!r}"
            ": they would enrol the same units",
        )
    if not one.meets(other):
        return
    if same_layer and one.owns.overlaps(other.owns):
        yield Problem(
            f"{path}.owns",
            f"{other.owns} overlaps {one.owns} of {place}, {one.name!r}, in the layer "
            f"{one.layer.name!r}, whose experiments are exclusive",
        )
    if same_layer and one.unit != other.unit:
        yield Problem(
            f"{path}.unit",
            f"{other.unit}, but {place}, {one.name!r}, assigns by {one.unit}; in one layer they "
            "are exclusive only by the same unit",
        )
    shared = one.parameters & other.parameters
    if not same_layer and shared:
        yield Problem(
            f"{path}.layer",
            f"{other.layer.name!r} decides the {' and the '.join(sorted(shared))} of a request, as "
            f"does {place}, {one.name!r}, in the layer {one.layer.name!r}; give both one layer, "
            "or times that do not meet",
        )
