"""Training from the command line: what it writes, and that it survives being killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nestling.models import Predictor, load_checkpoint
from nestling.models.checkpoint.held_out import read_held_out

from ...progress import without_progress
from .conftest import Train, Workshop

ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
SHORT = ["--steps", "30", "--batch-size", "16", "--pool", "2"]


def arguments(workshop: Workshop, out: str, teacher: Path | None = None) -> list[str]:
    return [
        "train",
        f"--teacher={teacher or workshop.teacher}",
        f"--data={workshop.data}",
        f"--validation={workshop.validation}",
        f"--out={workshop.path / out}",
        "--save-every=5",
        *SHORT,
    ]


def nestling(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nestling.cli", *command],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_an_encoder_to_answers(workshop: Workshop) -> None:
    result = nestling(*arguments(workshop, "out", workshop.encoder))
    assert result.returncode == 0, result.stderr
    assert "held-out accuracy: teacher" in result.stderr
    assert "validation accuracy, 50 texts: tiny" in result.stderr
    assert "Next: nestling calibrate" in result.stdout
    assert not (workshop.path / "out.training").exists()
    checkpoint = load_checkpoint(workshop.path / "out")
    assert list(checkpoint.students) == ["tiny", "small", "medium", "ta"]
    assert checkpoint.provenance["teacher"] == "encoder"
    answers = read_held_out(checkpoint)
    assert answers is not None
    assert len(answers) == checkpoint.provenance["held_out"]["texts"]
    accuracy = {name: round(float(each.float().mean()), 4) for name, each in answers.right.items()}
    assert accuracy == checkpoint.provenance["held_out"]["accuracy"]
    decisions = Predictor(checkpoint).predict(["play some music"])
    assert decisions[0].relative_cost == 1.0


@pytest.mark.slow
def test_killed_and_resumed_equals_unbroken(workshop: Workshop) -> None:
    asked = {"bfloat16": False, "ratio": 1.0, "finetune": 15, "pool": 360, "importance_batches": 16}
    for out in ("unbroken", "killed"):  # the machine's word, which may differ from run to run
        work = workshop.path / f"{out}.training"
        work.mkdir()
        (work / "machine.json").write_text(json.dumps(asked))
    unbroken = nestling(*arguments(workshop, "unbroken"))
    assert unbroken.returncode == 0, unbroken.stderr
    command = [sys.executable, "-m", "nestling.cli", *arguments(workshop, "killed")]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    states = workshop.path / "killed.training" / "students"
    while process.poll() is None and not list(states.glob("step-*")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (workshop.path / "killed").exists(), "it was killed in the middle"
    resumed = nestling(*arguments(workshop, "killed"))
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed at step" in resumed.stderr
    first = load_file(workshop.path / "unbroken" / "model.safetensors")
    second = load_file(workshop.path / "killed" / "model.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_two_processes_train_one_model(workshop: Workshop) -> None:
    # What `accelerate launch` starts for several GPUs, on CPUs.
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    launcher += ["--nproc-per-node=2", "-m", "nestling.cli"]
    result = subprocess.run(
        [*launcher, *arguments(workshop, "out")],
        env=ENVIRONMENT | {"ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    checkpoint = load_checkpoint(workshop.path / "out")
    assert checkpoint.provenance["processes"] == 2


@pytest.mark.slow
def test_csv_with_other_column_names(workshop: Workshop) -> None:
    for file in (workshop.data, workshop.validation):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        lines = [f'"{row["text"]}",{row["label"]}' for row in rows]
        file.with_suffix(".csv").write_text("\n".join(["utterance,intent", *lines]) + "\n")
    command = arguments(workshop, "out")
    command = [word.replace(".jsonl", ".csv") for word in command]
    result = nestling(*command, "--text-column=utterance", "--label-column=intent")
    assert result.returncode == 0, result.stderr


def test_errors_name_what_is_wrong(workshop: Workshop, train: Train) -> None:
    def refused(*options: str) -> str:
        done = train(*options)
        lines = without_progress(done.said).strip().splitlines()
        assert (done.status, len(lines)) == (2, 1), done.said
        assert not (workshop.path / "out").exists()
        return lines[0]

    other = workshop.path / "other.jsonl"
    other.write_text('{"text": "hello", "label": "greeting"}\n')
    assert "row 1: label 'greeting' is none of the 5 known" in refused(f"--data={other}")
    assert "no column 'body'; there are text, label" in refused("--text-column=body")
    assert "nowhere.jsonl: no such file" in refused("--validation=nowhere.jsonl")
    assert "no such directory" in refused(f"--teacher={workshop.path / 'none'}")
    students = workshop.path / "students.json"
    students.write_text('{"odd": {"layers": [9], "dim": 32, "attention_heads": [1], "ffn": [8]}}')
    message = refused(f"--students={students}")
    assert "student 'odd': layers: 9 is outside 0 to 3" in message


def test_a_checkpoint_is_never_written_over(workshop: Workshop, train: Train) -> None:
    (workshop.path / "out").mkdir()
    assert "exists already" in train().complaint


def test_another_teacher_does_not_resume(
    workshop: Workshop, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nestling.models.training.run.before_fine_tuning", interrupted)
        assert train().status == 130
    assert (workshop.path / "out.training/settings.json").exists()
    weights = workshop.teacher / "model.safetensors"
    changed = load_file(weights)
    changed["classifier.bias"] += 1
    save_file(changed, weights)
    assert "left by a run with other settings (teacher_weights)" in train().complaint


def test_other_settings_do_not_resume(workshop: Workshop) -> None:
    """In a process of its own: what a user sees of a refused run is one line."""
    work = workshop.path / "out.training"
    work.mkdir()
    (work / "settings.json").write_text("{}")
    refused = nestling(*arguments(workshop, "out"))
    assert refused.returncode == 2, refused.stderr
    [line] = without_progress(refused.stderr).strip().splitlines()
    assert "left by a run with other settings" in line
