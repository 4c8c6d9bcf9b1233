"""The program that changes one thing of the training recipe at a time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.training.ablations import __main__ as program
from benchmarks.training.ablations.objectives import ChangedTraining
from benchmarks.training.ablations.variants import VARIANTS
from nestling.models.training import trial

from ...models.training.conftest import write_data, write_pretrained

POOL = "targets-recombined.safetensors"
STUDENTS = {"tiny", "small", "medium", "ta"}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program is given but the variants: one set of 40 texts, five steps. Which precision
    is faster does not matter.
    """
    monkeypatch.setattr(trial, "SECONDS", 0.0)
    data = tmp_path / "data" / "tiny"
    data.mkdir(parents=True)
    write_data(data / "train.jsonl", 40, seed=0)
    write_data(data / "test.jsonl", 20, seed=1)
    teacher = write_pretrained(tmp_path / "encoder", classifier=False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    words = f"ablations --data {data.parent} --teacher {teacher} --work {tmp_path / 'work'}"
    return [*words.split(), "--sets", "tiny", "--seeds", "0", "--steps", "5"]


def ran(
    told: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    """The lines that the program prints."""
    monkeypatch.setattr(sys, "argv", told)
    capsys.readouterr()
    program.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_killed_run_goes_on_with_what_it_has(
    told: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ran([*told, "--only", "recipe"], monkeypatch, capsys)
    assert [line["variant"] for line in first[:-1]] == ["teacher", "recipe"]
    *runs, last = ran([*told, "--only", "labels-only"], monkeypatch, capsys)
    assert [run["variant"] for run in runs] == ["teacher", "recipe", "labels-only"]
    assert runs[1] == first[1]
    assert {line["student"] for line in last["results"]} == STUDENTS
    lines = {(line["variant"], line["student"]): line for line in last["results"]}
    changed, recipe = lines["labels-only", "tiny"], lines["recipe", "tiny"]
    assert changed["accuracy"] - recipe["accuracy"] == pytest.approx(changed["accuracy_more"])
    low, high = changed["accuracy_interval"]
    assert low <= changed["accuracy_more"] <= high
    assert ("labels-only", "ta") not in lines  # nothing trains one there
    assert "accuracy_more" not in recipe


@pytest.mark.slow
def test_a_variant_that_was_killed_goes_on_to_the_same_result(
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed in the second student's third step: the first is not trained from the start again."""
    steps: list[int] = []
    whole, killed_at = ChangedTraining.inputs, 13

    def inputs(self: ChangedTraining, step: int, rank: int, processes: int) -> tuple[Any, ...]:
        steps.append(step)
        if len(steps) == killed_at:
            raise KeyboardInterrupt
        return whole(self, step, rank, processes)

    monkeypatch.setattr(ChangedTraining, "inputs", inputs)
    told += ["--only", "labels-only"]
    with pytest.raises(KeyboardInterrupt):
        ran(told, monkeypatch, capsys)
    assert steps == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2]
    ran(told, monkeypatch, capsys)
    assert steps[killed_at:] == [4, 2, 3, 4, 0, 1, 2, 3, 4]
    folder = tmp_path / "work" / "tiny" / "seed-0-steps-5"
    assert not [*(folder / "states").iterdir()]

    file = folder / "labels-only.json"
    found = json.loads(file.read_text("utf-8"))
    file.unlink()
    ran(told, monkeypatch, capsys)
    unbroken = json.loads(file.read_text("utf-8"))
    assert [found[part] for part in program.KEPT] == [unbroken[part] for part in program.KEPT]


def test_a_set_that_is_not_there_is_named_before_anything_trains(
    told: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [*told, "--sets", "tiny", "other"])
    with pytest.raises(SystemExit):
        program.main()
    assert "--sets: " in (said := capsys.readouterr().err)
    assert "other: needs train.jsonl and test.jsonl" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--teacher", "another/bert"], "was begun with teacher encoder, not bert"),
        (["--data", "other"], "was begun with train.jsonl of sha256 "),
    ],
)
def test_what_is_kept_is_gone_on_with_by_the_same_alone(
    words: list[str],
    said: str,
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other" / "tiny"
    other.mkdir(parents=True)
    write_data(other / "train.jsonl", 40, seed=7)
    write_data(other / "test.jsonl", 20, seed=1)
    monkeypatch.setattr(program, "of_seed", lambda *given: [])
    monkeypatch.setattr(program, "comparison", lambda runs: [])
    assert ran(told, monkeypatch, capsys)[0]["teacher"] == "encoder"
    assert ran([*told, *words], monkeypatch, capsys)  # nothing is kept yet
    ran(told, monkeypatch, capsys)
    (tmp_path / "work" / "tiny" / "seed-0-steps-5" / "teacher.json").touch()
    ran(told, monkeypatch, capsys)
    with pytest.raises(SystemExit):
        ran([*told, *words], monkeypatch, capsys)
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_every_variant_runs(
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    *runs, last = ran(told, monkeypatch, capsys)
    assert {run["variant"] for run in runs} == {"teacher", *VARIANTS}
    for run in runs:
        if run["variant"].startswith("grown"):
            assert run["students_logits_moved"] == 0
    folder = tmp_path / "work" / "tiny" / "seed-0-steps-5"
    assert not [*(folder / "states").iterdir()]
    assert not (folder / "teacher.training" / "teacher").exists()
    pools = [folder / f"{name}.training" / POOL for name in ("teacher", "across-0")]
    assert pools[0].read_bytes() != pools[1].read_bytes()
    assert {line["variant"] for line in last["results"]} == set(VARIANTS)
