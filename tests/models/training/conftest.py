"""A data set and an encoder small enough to train in seconds."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import save_file

from nestling.cli import main
from nestling.models import StudentSpec
from nestling.models.families.bert import BERT
from nestling.models.nested.architecture import Architecture

from ...conftest import LABELS, tiny_architecture, tiny_model, write_tokenizer

TEXTS = {
    "alarm": "set an alarm for six",
    "money": "transfer money to my savings account",
    "music": "play some music",
    "translate": "how do i say goodbye in french",
    "weather": "what is the weather",
}


@dataclass(frozen=True)
class Workshop:
    """Where a test trains: an encoder without a classifier, a teacher with one, and data."""

    path: Path
    encoder: Path
    teacher: Path
    data: Path
    validation: Path


def write_data(path: Path, rows: int, seed: int) -> Path:
    """Each label's sentence, with a word dropped and a word of any label added."""
    rng = random.Random(seed)
    words = " ".join(TEXTS.values()).split()
    with path.open("w") as file:
        for i in range(rows):
            label = LABELS[i % len(LABELS)]
            text = TEXTS[label].split()
            text.pop(rng.randrange(len(text)))
            text.insert(rng.randrange(len(text) + 1), rng.choice(words))
            file.write(json.dumps({"text": " ".join(text), "label": label}) + "\n")
    return path


def write_pretrained(
    path: Path, classifier: bool, architecture: Architecture | None = None
) -> Path:
    """A Hugging Face directory with random weights."""
    path.mkdir()
    a = architecture or tiny_architecture()
    config = BERT.config(StudentSpec.full(a), a)
    weights = BERT.export(tiny_model(architecture=a).state_dict(), StudentSpec.full(a), a)
    if not classifier:
        config |= {"architectures": ["BertModel"]}
        weights = {n: w for n, w in weights.items() if not n.startswith("classifier")}
    save_file({n: w.contiguous() for n, w in weights.items()}, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config))
    write_tokenizer(path / "tokenizer.json")
    return path


def write_pairs(path: Path, rows: int, seed: int) -> Path:
    """The same texts, each before the sentence of its label."""
    found = [json.loads(line) for line in write_data(path, rows, seed).read_text().splitlines()]
    for row in found:
        row["text_pair"] = TEXTS[row["label"]]
    path.write_text("".join(json.dumps(row) + "\n" for row in found))
    return path


def write_sets(path: Path, rows: int, seed: int) -> Path:
    """The same texts, one in five without a label, one in three with its label alone, the others
    beside the text and the label of another.
    """
    found = [json.loads(line) for line in write_data(path, rows, seed).read_text().splitlines()]
    lines = []
    for i, (row, other) in enumerate(zip(found, [*found[2:], *found[:2]], strict=True)):
        text, labels = row["text"], [row["label"]]
        if i % 5 == 0:
            text, labels = "turn off lights", []
        elif i % 3:
            text, labels = f"{text} {other['text']}", [row["label"], other["label"]]
        lines.append(json.dumps({"text": text, "labels": labels}) + "\n")
    path.write_text("".join(lines))
    return path


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(
        tmp_path,
        write_pretrained(tmp_path / "encoder", classifier=False),
        write_pretrained(tmp_path / "teacher", classifier=True),
        write_data(tmp_path / "train.jsonl", 200, seed=0),
        write_data(tmp_path / "validation.jsonl", 50, seed=1),
    )


@dataclass(frozen=True)
class Trained:
    """How `nestling train` ended, and what it said."""

    status: int
    said: str

    @property
    def complaint(self) -> str:
        """The one line of a run that was refused."""
        assert self.status == 2, self.said
        assert "Traceback" not in self.said
        return self.said.strip().splitlines()[-1]


Train = Callable[..., Trained]


@pytest.fixture
def train(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Train:
    """The command in this process: one step on 20 texts, with further options."""
    write_data(workshop.data, 20, seed=0)
    write_data(workshop.validation, 10, seed=1)

    def run(*options: str, teacher: Path | None = None) -> Trained:
        given = [
            f"--teacher={teacher or workshop.teacher}",
            f"--data={workshop.data}",
            f"--validation={workshop.validation}",
            f"--out={workshop.path / 'out'}",
            "--steps=1",
            "--pool=1",
        ]
        monkeypatch.setattr(sys, "argv", ["nestling", "train", *given, *options])
        monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        return Trained(status, capsys.readouterr().err)

    return run
