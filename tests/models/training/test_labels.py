"""Whose labels a training learns: a teacher's in other words; data that contradict themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from nestling.models import load_checkpoint

from ...conftest import LABELS
from .conftest import Train, Workshop

UPPER = {label: label.upper() for label in LABELS}


def rename(workshop: Workshop, labels: Sequence[str]) -> None:
    """Give the teacher's classes other names."""
    file = workshop.teacher / "config.json"
    names = {str(index): label for index, label in enumerate(labels)}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"id2label": names}))


def relabel(workshop: Workshop, row: int, **fields: object) -> None:
    """Change a row of the training texts, counted from 1."""
    lines = workshop.data.read_text().splitlines()
    lines[row - 1] = json.dumps(json.loads(lines[row - 1]) | fields)
    workshop.data.write_text("\n".join(lines) + "\n")


def mapped(workshop: Workshop, content: object) -> str:
    file = workshop.path / "map.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return f"--label-map={file}"


def test_labels_spelled_otherwise_are_told_on_both_sides(workshop: Workshop, train: Train) -> None:
    rename(workshop, list(UPPER.values()))
    said = train().complaint
    assert said == (
        f"nestling: {workshop.data}: row 1: label 'alarm' is none of the 5 known labels, those of "
        "the teacher: ALARM, MONEY, MUSIC, TRANSLATE, WEATHER; the data have alarm, money, music, "
        "translate, weather. --label-map FILE maps them; this may be meant: " + json.dumps(UPPER)
    )
    rename(workshop, [f"LABEL_{index}" for index in range(5)])
    said = train().complaint
    assert "LABEL_0, LABEL_1, LABEL_2, LABEL_3, LABEL_4" in said
    assert said.endswith('maps them: {"label of the data": "label of the teacher"}')


def test_numbers_are_taken_for_those_of_the_teacher(workshop: Workshop, train: Train) -> None:
    rename(workshop, [f"LABEL_{index}" for index in range(5)])
    for row in range(1, 21):
        relabel(workshop, row, label=row % 5)
    assert 'this may be meant: {"0": "LABEL_0", "1": "LABEL_1", "2": ' in train().complaint


def test_the_checkpoint_has_the_words_of_the_data(workshop: Workshop, train: Train) -> None:
    rename(workshop, ["ALARM", "CASH", "music", "TRANSLATE", "WEATHER"])
    done = train(mapped(workshop, {
        "money": "CASH", "alarm": "ALARM", "weather": "WEATHER", "translate": "TRANSLATE"
    }))  # fmt: skip
    assert done.status == 0, done.said
    assert load_checkpoint(workshop.path / "out").architecture.head().labels == LABELS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"alarm": "alarms"}, "'alarms' is none of the teacher's 5 labels, ALARM, MONEY, MUSIC, "
         "TRANSLATE, WEATHER; did you mean 'ALARM'?"),
        ({"Alarm": "ALARM"}, "'Alarm' is none of the data's 5 labels, alarm, money, music, "
         "translate, weather; did you mean 'alarm'?"),
        ({"alarm": "ALARM", "music": "ALARM"},
         "'alarm' and 'music' both stand for the teacher's 'ALARM'"),
        ("[]", 'is not an object, as {"label of the data": "label of the teacher"}'),
        ("[[1, 2]]", "is not an object"),
        ("3", "is not an object"),
        ("{}", "has no entries"),
        ('{"alarm": "ALARM", "alarm": "MUSIC"}', "'alarm' is there twice"),
        ({"alarm": 0}, "'alarm': its value is not a text"),
        ("{", "is not JSON: "),
    ],
)  # fmt: skip
def test_a_map_that_cannot_be(
    workshop: Workshop, train: Train, content: object, message: str
) -> None:
    rename(workshop, list(UPPER.values()))
    said = train(mapped(workshop, content)).complaint
    assert said.startswith(f"nestling: {workshop.path / 'map.json'}: {message}")


def test_a_map_that_takes_a_word_of_the_teacher(workshop: Workshop, train: Train) -> None:
    said = train(mapped(workshop, {"alarm": "money"})).complaint
    assert "'alarm' stands for the teacher's 'money', and the teacher has a label 'alarm'" in said
    swapped = train(mapped(workshop, {"alarm": "money", "money": "alarm"}))
    assert swapped.status == 0, swapped.said
    labels = load_checkpoint(workshop.path / "out").architecture.head().labels
    assert labels == ("money", "alarm", *LABELS[2:])


def test_a_map_without_a_teacher_or_a_file(workshop: Workshop, train: Train) -> None:
    refused = train(mapped(workshop, {"a": "b"}), teacher=workshop.encoder)
    assert "is an encoder without labels" in refused.complaint
    assert "none.json: cannot be read: No such file" in train("--label-map=none.json").complaint


@pytest.mark.parametrize("other", ["money ", "mo\u200bney", "\u00a0money"])
def test_labels_that_look_alike(workshop: Workshop, train: Train, other: str) -> None:
    relabel(workshop, 7, label=other)
    said = train(teacher=workshop.encoder).complaint
    assert said == (
        f"nestling: {workshop.data}: row 7: label {other!a} looks like 'money' of row 2, and "
        "would be a class of its own; write one of them throughout"
    )


def test_what_was_probably_not_meant_is_told(workshop: Workshop, train: Train) -> None:
    first = json.loads(workshop.data.read_text().splitlines()[0])["text"]
    relabel(workshop, 2, text="a text of its own", label="Alarm")
    relabel(workshop, 3, text=f" {first.upper()} ", label="music")
    with workshop.validation.open("a") as file:
        file.write(json.dumps({"text": "A text of its own", "label": "alarm"}) + "\n")
    done = train(teacher=workshop.encoder)
    assert done.status == 0, done.said
    assert f"warning: {workshop.data}: labels 'alarm' and 'Alarm' differ in case alone" in done.said
    assert f"warning: {workshop.data}: 1 of 20 rows repeat a text with another label: " in done.said
    assert "is 'alarm' in row 1 and 'music' in row 3" in done.said
    assert f"warning: {workshop.validation}: " in done.said
    assert "of 11 texts are among those that are trained on" in done.said


def test_a_label_that_nothing_teaches(workshop: Workshop, train: Train) -> None:
    for row in range(1, 21):
        relabel(workshop, row, label="music")
    assert "no text of the teacher's alarm, money, translate, weather" in train().said
