"""Experiments that would spoil each other are not taken."""

from __future__ import annotations

from typing import Any

import pytest

from nestling.experiments.errors import DeclarationError

from .declared import experiment, plan

LAYERS = [{"name": "routing"}, {"name": "machines"}]
ON_ONNX = [
    {"name": "torch", "weight": 1, "runner": "torch"},
    {"name": "onnx", "weight": 1, "runner": "onnx"},
]


def conflict(one: dict[str, Any], other: dict[str, Any], layers: Any = LAYERS) -> tuple[str, str]:
    with pytest.raises(DeclarationError) as raised:
        plan(one, other, layers=layers)
    [problem] = raised.value.problems
    return problem.path, problem.message


def test_exclusive_experiments_share_a_layer_side_by_side() -> None:
    one = experiment("one", layer="routing", owns=[0, 0.5])
    assert (
        len(plan(one, experiment("two", layer="routing", owns=[0.5, 1]), layers=LAYERS).by_name)
        == 2
    )


def test_exclusive_experiments_that_overlap() -> None:
    one = experiment("one", layer="routing", owns=[0, 0.5])
    path, message = conflict(one, experiment("two", layer="routing", owns=[0.4, 1]))
    assert path == "experiments[1].owns"
    assert "[0.4, 1] overlaps [0, 0.5]" in message


def test_one_after_the_other_may_own_the_same() -> None:
    one = experiment("one", layer="routing")
    later = {"start": "2026-12-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}
    assert plan(one, experiment("two", layer="routing", **later), layers=LAYERS)["two"]


def test_in_one_layer_all_assign_by_the_same_unit() -> None:
    one = experiment("one", layer="routing", owns=[0, 0.5])
    path, message = conflict(one, experiment("two", layer="routing", owns=[0.5, 1], unit="user"))
    assert path == "experiments[1].unit"
    assert "header x-user-id" in message


def test_two_layers_decide_different_things() -> None:
    one = experiment("one", layer="routing")
    assert plan(one, experiment("two", layer="machines", variants=ON_ONNX), layers=LAYERS)["two"]
    path, message = conflict(one, experiment("two", layer="machines"))
    assert path == "experiments[1].layer"
    assert "the policy" in message


def test_names_and_salts_are_there_once() -> None:
    later = {"start": "2026-12-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}
    one = experiment("one", layer="routing")
    assert conflict(one, experiment("one", layer="routing", salt="two", **later))[0].endswith(
        "name"
    )
    assert conflict(one, experiment("two", layer="routing", salt="one", **later))[0].endswith(
        "salt"
    )


def test_layers_have_salts_of_their_own() -> None:
    layers = [{"name": "routing"}, {"name": "machines", "salt": "routing"}]
    one = experiment("one", layer="routing")
    path, _ = conflict(one, experiment("two", layer="machines", variants=ON_ONNX), layers)
    assert path == "experiments[1].layer"


def test_a_layer_of_its_own_has_a_free_name() -> None:
    with pytest.raises(DeclarationError, match="layer"):
        plan(experiment("routing"), layers=LAYERS)
