"""A promise to each group apart: exact, kept by redraws, and refused where a group is too small."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nestling.models import Cascade, DataError
from nestling.models.calibration.choice import SCORES, Choice, choose, divide
from nestling.models.calibration.enough import lacking, texts_of_a_group
from nestling.models.calibration.evidence import Evidence, outcome
from nestling.models.calibration.groups import MOST_GROUPS, TextGroups
from nestling.models.calibration.learn_then_test import Split, split_groups, walk
from nestling.models.calibration.report.page import FEW_GROUPS, Found, page
from nestling.models.calibration.risk import losses_allowed, p_value
from nestling.models.calibration.standing import standings
from nestling.models.calibration.target import RiskTarget
from nestling.models.cascade.policy import Student
from nestling.models.inputs.data import read_groups
from nestling.models.nested.spec import StudentSpec

from ...conftest import tiny_architecture, tiny_students

MARGIN = 1e-5
TARGET = RiskTarget(0.04, 0.9)
COSTS = (0.03, 0.13, 1.0)
TEXTS, DRAWN = 20_000, 1500


@cache
def population() -> Evidence:
    """Two students and the TA; on the texts of `worse`, a third, the students err more often than
    their scores say.
    """
    rng = np.random.default_rng(0)
    worse = rng.random(TEXTS) < 1 / 3
    difficulty = rng.normal(size=TEXTS)
    scores = [skill - 1.3 * difficulty + rng.normal(scale=0.7, size=TEXTS) for skill in (2.2, 2.8)]
    chance = 1 / (1 + np.exp(-np.array(scores)))
    lost = rng.random((2, TEXTS)) < (1 - chance) * np.where(worse, 1.0, 0.25)
    groups = TextGroups.by("kind", ["worse" if each else "better" for each in worse])
    return Evidence(
        np.concatenate([chance, np.ones((1, TEXTS))]).astype(np.float32),
        np.concatenate([lost, np.zeros((1, TEXTS), bool)]),
        np.repeat(np.array(COSTS)[:, None], TEXTS, axis=1),
        MARGIN,
        groups,
    )


def chosen(drawn: Evidence, seed: int) -> tuple[Choice, Split]:
    parts = divide(drawn.texts, TARGET, f"{seed:064x}"[::-1], drawn.groups)
    return choose({SCORES[0]: drawn}, drawn.cost, None, parts, TARGET), parts


def risks(choice: Choice) -> list[float]:
    """What is true of each group."""
    whole = population().stages(choice.rows)
    assert whole.groups is not None
    return [
        float(outcome(whole.select(rows), choice.thresholds[None]).losses[0]) / len(rows)
        for rows in whole.groups.rows
    ]


@pytest.mark.parametrize(
    "redraws", [25, pytest.param(400, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_only_a_promise_to_each_group_keeps_that_of_the_worse(redraws: int) -> None:
    apart = together = 0
    for seed in range(redraws):
        rows = np.random.default_rng(seed).integers(0, TEXTS, DRAWN)
        drawn = population().select(rows)
        apart += max(risks(chosen(drawn, seed)[0])) > TARGET.alpha
        together += max(risks(chosen(replace(drawn, groups=None), seed)[0])) > TARGET.alpha
    delta = 1 - TARGET.confidence
    assert apart <= redraws * delta + 3 * (redraws * delta * (1 - delta)) ** 0.5
    assert together > redraws / 2


def test_a_vector_passes_if_every_group_does() -> None:
    drawn = population().select(np.arange(DRAWN))
    vectors = np.stack([np.linspace(1, 0.1, 60), np.linspace(1, 0.2, 60), np.zeros(60)], axis=1)
    walked = walk(drawn, vectors, TARGET.alpha, TARGET.confidence)
    assert drawn.groups is not None
    p = []
    for group, rows in enumerate(drawn.groups.rows):
        losses = outcome(drawn.select(rows), vectors).losses
        assert (walked.by_group[group] == losses).all()
        p.append(p_value(losses, len(rows), TARGET.alpha))
    passed = np.max(p, axis=0) <= 1 - TARGET.confidence
    assert walked.accepted == int(np.argmin(passed)) > 0
    assert (np.take_along_axis(np.array(p), walked.worst[None], 0)[0] == np.max(p, axis=0)).all()
    assert (walked.losses == outcome(drawn, vectors).losses).all()
    together = walk(replace(drawn, groups=None), vectors, TARGET.alpha, TARGET.confidence)
    assert together.accepted > walked.accepted


def test_what_each_group_rests_on_is_written_down() -> None:
    drawn = population().select(np.arange(DRAWN))
    choice, parts = chosen(drawn, 0)
    guarantee = choice.guarantee(TARGET, parts, "ab" * 32, "cd" * 32)
    assert guarantee.by == "kind"
    assert [each.name for each in guarantee.groups] == ["better", "worse"]
    assert sum(each.examples for each in guarantee.groups) == guarantee.examples
    ordering = sum(each.ordering_examples for each in guarantee.groups)
    assert ordering == guarantee.ordering_examples == DRAWN - guarantee.examples
    assert sum(each.losses for each in guarantee.groups) == choice.losses
    for each in guarantee.groups:
        assert each.observed_risk == each.losses / each.examples
        assert each.losses <= losses_allowed(each.examples, TARGET.alpha, TARGET.confidence)
    first, second = standings(guarantee)
    assert TARGET.alpha >= first.bound >= second.bound > 0
    trail = choice.trail
    assert trail.bounds[trail.chosen] == pytest.approx(first.bound)
    assert trail.worst[trail.chosen] == first.name
    assert (trail.bounds[: trail.accepted] <= TARGET.alpha).all()
    assert trail.bounds[trail.accepted] > TARGET.alpha


def cascade() -> tuple[Cascade, Choice]:
    drawn = population().select(np.arange(DRAWN))
    choice, parts = chosen(drawn, 0)
    architecture = tiny_architecture()
    specs = {**tiny_students(), "ta": StudentSpec.full(architecture)}
    students = [Student.of(name, spec, architecture) for name, spec in specs.items()]
    guarantee = choice.guarantee(TARGET, parts, "ab" * 32, "cd" * 32)
    return Cascade("c", choice.stages(students), guarantee, choice.forecast), choice


def test_it_is_read_as_it_was_written() -> None:
    found, _ = cascade()
    students = {stage.student.name: stage.student for stage in found.stages}
    written = found.to_json()
    assert Cascade.from_json("c", written, students) == found
    for wrong in ({"losses": -1}, {"losses": 10**6}, {"examples": "9"}, {"name": 3}):
        groups = [{**written["guarantee"]["groups"][0], **wrong}]
        broken = written | {"guarantee": {**written["guarantee"], "groups": groups}}
        with pytest.raises(ValueError, match=r"cascade 'c': group .* cannot be"):
            Cascade.from_json("c", broken, students)
    broken = written | {"guarantee": {**written["guarantee"], "groups": [{"name": "a"}]}}
    with pytest.raises(ValueError, match=r"cascade 'c': group .* lacks its name or numbers"):
        Cascade.from_json("c", broken, students)
    older = {k: v for k, v in written["guarantee"].items() if k not in ("by", "groups")}
    assert Cascade.from_json("c", written | {"guarantee": older}, students).guarantee is not None


def test_the_page_shows_the_worst_groups_first() -> None:
    found, choice = cascade()
    said = page([Found(found, choice, ["tiny", "small", "ta"])], {"checkpoint": "c"})
    assert "in each of the 2 groups by <b>kind</b> apart" in said
    assert said.index("<tr><td>worse</td>") < said.index("<tr><td>better</td>")
    assert "What a smaller promise takes" not in said
    assert found.guarantee is not None
    many = [replace(found.guarantee.groups[0], name=f"g{i}") for i in range(FEW_GROUPS + 3)]
    crowd = replace(found, guarantee=replace(found.guarantee, groups=tuple(many)))
    said = page([Found(crowd, choice, ["tiny", "small", "ta"])], {"checkpoint": "c"})
    assert "<summary>3 more, which are farther from breaking it</summary>" in said


def test_each_group_is_divided_by_itself() -> None:
    groups = TextGroups.by("lang", ["a"] * 700 + ["b"] * 900 + ["c"] * 2000)
    parts = split_groups(groups, 0.01, 0.95, 1)
    both = np.concatenate([parts.ordering, parts.testing])
    assert sorted(both.tolist()) == list(range(3600))
    for size, ordering, testing in zip(
        groups.sizes,
        groups.select(parts.ordering).sizes,
        groups.select(parts.testing).sizes,
        strict=True,
    ):
        assert ordering + testing == size
        assert ordering >= size / 4
        allowed = losses_allowed(testing, 0.01, 0.95)
        assert allowed >= 0
        assert losses_allowed(testing - 1, 0.01, 0.95) < allowed
    assert (split_groups(groups, 0.01, 0.95, 1).testing == parts.testing).all()


@pytest.mark.parametrize("count", [1, 2, 3, 10, 60])
@pytest.mark.parametrize(("alpha", "confidence"), [(0.005, 0.95), (0.2, 0.9), (0.4, 0.99)])
def test_what_a_group_needs_is_exactly_enough(count: int, alpha: float, confidence: float) -> None:
    needed = texts_of_a_group(count, alpha, confidence)
    for size in (needed - 1, needed):
        groups = TextGroups.by("g", [str(i) for i in range(count) for _ in range(size)])
        tested = groups.select(split_groups(groups, alpha, confidence, 0).testing).sizes
        enough = losses_allowed(tested[0], alpha, confidence) >= 0
        assert enough == (size == needed)
        assert bool(lacking(groups, alpha, confidence)) != enough


def test_all_groups_with_too_few_texts_are_named() -> None:
    groups = TextGroups.by("lang", ["en"] * 900 + ["de"] * 300 + ["fr"])
    with pytest.raises(DataError) as refused:
        divide(1201, RiskTarget(0.005), "ab" * 32, groups)
    assert str(refused.value) == (
        "by: 2 of 3 groups of the column 'lang' have too few examples to show a risk of at most "
        "0.50% with 95% confidence, even without a single loss: it takes 798 of each, 1,295 more "
        "in all; 'de' has 300, 'fr' has 1"
    )


def test_a_column_with_too_many_values_is_no_column_of_groups() -> None:
    with pytest.raises(DataError, match=f"'id' has 300 values; at most {MOST_GROUPS} can be"):
        TextGroups.by("id", [str(i) for i in range(300)])


def test_the_worst_group_is_named_where_nothing_passes() -> None:
    drawn = population().select(np.arange(DRAWN))
    assert drawn.groups is not None
    lost = drawn.loss.copy()
    lost[:2, drawn.groups.rows[1]] = True
    with pytest.raises(
        DataError, match=r"losses in [0-9]+ texts of kind 'worse' .*examples of kind"
    ):
        chosen(replace(drawn, loss=lost), 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"text": "a", "g": "x"}\n{"text": "b"}', "row 2: g is missing"),
        ('{"text": "a", "g": "x"}\n{"text": "b", "g": null}', "row 2: g is empty"),
        ('{"text": "a", "g": "x"}\n{"text": "b", "g": " "}', "row 2: g is empty"),
        ('{"text": "a", "g": 1}\n{"text": "b", "g": "1"}', "groups are all texts or all whole"),
        ('{"text": "a", "g": 1.5}', "row 1: g is a number, 1.5"),
        ('{"text": "a", "h": 1}', "no column 'g'; there are text, h"),
    ],
)
def test_a_row_without_a_group_is_named(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(content)
    with pytest.raises(DataError, match=said):
        read_groups(file, "g")


def test_groups_are_texts_numbers_or_truth_values(tmp_path: Path) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text('{"text": "a", "n": 7, "b": true}\n{"text": "b", "n": 12, "b": false}')
    assert read_groups(file, "n") == ("7", "12")
    assert read_groups(file, "b") == ("true", "false")
    table = tmp_path / "data.csv"
    table.write_text("text,lang\na,de\nb,en\n")
    assert read_groups(table, "lang") == ("de", "en")
    with pytest.raises(DataError, match="text and group are both read from the column 'text'"):
        read_groups(table, "text")
