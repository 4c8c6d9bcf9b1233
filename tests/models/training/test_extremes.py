"""Every option of a training at its ends, on as few texts as can be: it works, or says why."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from nestling.models import load_checkpoint
from nestling.models.checkpoint.held_out import read_held_out

from .conftest import Train, Workshop


@pytest.mark.parametrize(
    "options",
    [
        ["--pool=0"],
        ["--pool=1000", "--batch-size=65536"],
        ["--batch-size=1", "--save-every=1"],
        ["--longest=3"],
        ["--longest=1000000", "--save-every=1000000000"],
        ["--relation-weight=0", "--seed=4294967295"],
        ["--relation-weight=1"],
        ["--learning-rate=1e-300"],
    ],
)
def test_an_extreme_that_works(workshop: Workshop, train: Train, options: Sequence[str]) -> None:
    done = train(*options)
    assert done.status == 0, done.said
    assert load_checkpoint(workshop.path / "out").provenance["examples"] == 18


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--learning-rate=0", "learning-rate: 0 is not a finite number above 0"),
        ("--learning-rate=inf", "--learning-rate: inf is above 1e+38"),
        ("--relation-weight=inf", "--relation-weight: inf is above 1e+300"),
    ],
)
def test_an_extreme_that_is_refused(
    workshop: Workshop, train: Train, option: str, message: str
) -> None:
    assert train(option).complaint.startswith(f"nestling: {message}")
    assert not (workshop.path / "out.training").exists()


@pytest.mark.parametrize(
    "option",
    [
        "--pool=-1",
        "--pool=1001",
        "--batch-size=0",
        "--steps=0",
        "--minutes=0",
        "--longest=2",
        "--save-every=0",
        "--relation-weight=-1",
        "--learning-rate=-1",
        "--seed=-1",
        "--seed=4294967296",
        "--learning-rate=nan",
        "--relation-weight=nan",
    ],
)
def test_beyond_the_limits(train: Train, option: str) -> None:
    refused = train(option)
    assert refused.status == 2
    name, _, value = option.partition("=")
    assert refused.said.startswith(f"nestling: {name}: {value} is ")


def write(workshop: Workshop, rows: Sequence[tuple[str, str]]) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    workshop.data.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "rows",
    [
        [("play some music", "music"), ("what is the weather", "weather")],
        [("play", "music"), ("weather", "weather")],
        [("play some music", "music")] * 3 + [("set an alarm", "alarm")],
    ],
)
def test_as_few_texts_as_can_be(
    workshop: Workshop, train: Train, rows: Sequence[tuple[str, str]]
) -> None:
    write(workshop, rows)
    done = train()
    assert done.status == 0, done.said
    workshop.validation.write_text(workshop.data.read_text())
    more = train(f"--out={workshop.path / 'again'}", teacher=workshop.encoder)
    assert more.status == 0, more.said
    labels = load_checkpoint(workshop.path / "again").architecture.head().labels
    assert labels == tuple(sorted({label for _, label in rows}))


def test_texts_held_out_are_kept_as_they_are_served(workshop: Workshop, train: Train) -> None:
    """In all their tokens, where training reads but some of them."""
    done = train("--longest=6")
    assert done.status == 0, done.said
    checkpoint = load_checkpoint(workshop.path / "out")
    answers = read_held_out(checkpoint)
    assert answers is not None
    assert checkpoint.provenance["longest"] == 6
    assert int(answers.tokens.min()) > 6
    assert len(answers) == checkpoint.provenance["held_out"]["texts"]


def test_one_label_teaches_nothing(workshop: Workshop, train: Train) -> None:
    write(workshop, [("play", "music"), ("some music", "music")])
    assert (
        "one label only; there is nothing to tell apart"
        in train(teacher=workshop.encoder).complaint
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is not an object {name: {layers, dim, attention_heads, ffn}}"),
        ('{"a": 1}', "is not an object {name: {layers, dim, attention_heads, ffn}}"),
        (
            '{"a": {"layers": 3, "dim": 1, "attention_heads": 1, "ffn": 1}}',
            "layers, attention_heads, ffn: expected",
        ),
        ("{", "Expecting property name"),
    ],
)
def test_students_that_are_none(
    workshop: Workshop, train: Train, content: str, message: str
) -> None:
    file = workshop.path / "students.json"
    file.write_text(content)
    assert train(f"--students={file}").complaint.startswith(f"nestling: {file}: {message}")
    assert "cannot be read: No such file" in train("--students=none.json").complaint


def test_no_students_but_the_ta(workshop: Workshop, train: Train) -> None:
    file = workshop.path / "students.json"
    file.write_text("{}")
    done = train(f"--students={file}")
    assert done.status == 0, done.said
    assert list(load_checkpoint(workshop.path / "out").students) == ["ta"]
