"""The path that a cascade keeps: read as it was written, refused where it is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from nestling.models import Cascade, Stage
from nestling.models.cascade.path import CascadePath, PathVector
from nestling.models.cascade.policy import Student
from nestling.models.nested.spec import StudentSpec

from ...conftest import tiny_architecture, tiny_students

STEPS = (
    PathVector((1.0, 1.0, 0.0), 0.0, 1.0),
    PathVector((1.0, 0.9, 0.0), 0.001, 0.5),
    PathVector((0.95, 0.9, 0.0), 0.002, 0.4),
    PathVector((0.9, 0.8, 0.0), 0.004, 0.3),
    PathVector((0.5, 0.8, 0.0), 0.01, 0.2),
    PathVector((0.1, 0.1, 0.0), 0.03, 0.1),
)
PATH = CascadePath(STEPS, 3)


def students() -> dict[str, Student]:
    architecture = tiny_architecture()
    specs = tiny_students() | {"ta": StudentSpec.full(architecture)}
    return {name: Student.of(name, spec, architecture) for name, spec in specs.items()}


def cascade(path: CascadePath | None = PATH) -> Cascade:
    named = students()
    pairs = zip(("tiny", "small", "ta"), STEPS[3].thresholds, strict=True)
    return Cascade("three", tuple(Stage(named[name], at) for name, at in pairs), path=path)


def written(path: CascadePath | None = PATH) -> Any:
    return json.loads(json.dumps(cascade(path).to_json()))


def test_it_is_read_as_it_was_written() -> None:
    assert Cascade.from_json("three", written(), students()) == cascade()
    assert Cascade.from_json("three", cascade().to_json(), students()) == cascade()


def test_one_from_before_paths_has_none_and_the_same_version() -> None:
    assert "path" not in written(None)
    before = Cascade.from_json("three", written(None), students())
    assert before.path is None
    assert before.version("a" * 64) == cascade().version("a" * 64)


def test_each_tighter_vector_has_at_most_half_of_the_risk_and_the_last_is_the_safest() -> None:
    assert PATH.tighter() == (STEPS[2], STEPS[1], STEPS[0])
    assert CascadePath(STEPS, 5).tighter() == (STEPS[4], STEPS[3], STEPS[2], STEPS[1], STEPS[0])
    assert CascadePath(STEPS, 0).tighter() == ()
    without_loss = CascadePath((STEPS[0], PathVector((1.0, 0.9, 0.0), 0.0, 0.5), STEPS[3]), 1)
    assert without_loss.tighter() == (STEPS[0],)


def test_the_loosest_within_a_risk() -> None:
    assert PATH.looser(0.01) is STEPS[4]
    assert PATH.looser(1) is STEPS[5]
    assert PATH.looser(0.009) is None  # there is none between it and the chosen one
    assert CascadePath(STEPS, 5).looser(1) is None


def test_stages_that_never_answer_are_left_out() -> None:
    [small, ta] = cascade().along(STEPS[1]).stages
    assert (small.student.name, small.threshold, ta.student.name) == ("small", 0.9, "ta")
    assert [stage.student.name for stage in cascade().along(STEPS[0]).stages] == ["ta"]


def _set(*keys: str | int, value: Any) -> Callable[[Any], None]:
    def change(path: Any) -> None:
        for key in keys[:-1]:
            path = path[key]
        path[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("chosen", value=6), r"path\.chosen: 6 is none of the 6 steps"),
        (_set("chosen", value=True), r"path\.chosen: True is none of the 6 steps"),
        (_set("chosen", value=2), r"path\.chosen: its thresholds are not those of the stages"),
        (_set("steps", value=3), r"path\.steps: is no list"),
        (_set("steps", 2, value=[0.9]), r"path\.steps\[2\]: is no object"),
        (_set("steps", value=[]), r"path\.chosen: 3 is none of the 0 steps"),
        (_set("steps", 1, "thresholds", value=[1, 0]), r"path\.steps\[1\]\.thresholds: is no list"),
        (_set("steps", 1, "thresholds", value="1"), r"path\.steps\[1\]\.thresholds: is no"),
        (_set("steps", 0, "thresholds", 2, value=0.1), r"path\.steps\[0\]\.thresholds: the last"),
        (_set("steps", 2, "thresholds", 0, value=1.5), r"path\.steps\[2\]\.thresholds: 1\.5"),
        (_set("steps", 4, "thresholds", 1, value=0.9), r"path\.steps\[4\]\.thresholds: one is"),
        (_set("steps", 2, "risk", value=-0.1), r"path\.steps\[2\]\.risk: -0\.1 is not between 0"),
        (_set("steps", 2, "risk", value="0"), r"path\.steps\[2\]\.risk: 0 is not between 0 and 1"),
        (_set("steps", 2, "relative_cost", value=2), r"path\.steps\[2\]\.relative_cost: 2 is not"),
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused(change: Callable[[Any], None], message: str) -> None:
    data = written()
    change(data["path"])
    with pytest.raises(ValueError, match=rf"cascade 'three': {message}"):
        Cascade.from_json("three", data, students())


@pytest.mark.parametrize("field", ["steps", "chosen"])
def test_what_lacks_a_field_is_refused(field: str) -> None:
    data = written()
    del data["path"][field]
    with pytest.raises(KeyError, match=field):
        Cascade.from_json("three", data, students())


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="cascade 'three': path: is no object"):
        Cascade.from_json("three", written() | {"path": [1]}, students())
