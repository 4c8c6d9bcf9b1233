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
from .conftest import Workshop, write_data

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


def refused(workshop: Workshop, *extra: str, **replaced: str) -> str:
    """The one line that a refused command prints."""
    command = [
        f"--{word[2:].split('=')[0]}={replaced[word[2:].split('=')[0]]}"
        if word.startswith("--") and word[2:].split("=")[0] in replaced
        else word
        for word in arguments(workshop, "out")
    ]
    result = nestling(*command, *extra)
    assert result.returncode == 2, result.stderr
    assert not (workshop.path / "out").exists()
    lines = without_progress(result.stderr).strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_errors_name_what_is_wrong(workshop: Workshop) -> None:
    other = write_data(workshop.path / "other.jsonl", 5, 0)
    other.write_text('{"text": "hello", "label": "greeting"}\n')
    assert "row 1: label 'greeting' is none of the 5 known" in refused(workshop, data=str(other))
    assert "no column 'body'; there are text, label" in refused(workshop, "--text-column=body")
    assert "nowhere.jsonl: no such file" in refused(workshop, validation="nowhere.jsonl")
    assert "no such directory" in refused(workshop, teacher=str(workshop.path / "none"))
    students = workshop.path / "students.json"
    students.write_text('{"odd": {"layers": [9], "dim": 32, "heads": [1], "ffn": [8]}}')
    message = refused(workshop, f"--students={students}")
    assert "student 'odd': layers: 9 is outside 0 to 3" in message


def test_a_checkpoint_is_never_written_over(workshop: Workshop) -> None:
    (workshop.path / "out").mkdir()
    result = nestling(*arguments(workshop, "out"))
    assert result.returncode == 2
    assert "exists already" in result.stderr


def test_another_teacher_does_not_resume(workshop: Workshop) -> None:
    command = arguments(workshop, "out")
    process = subprocess.Popen([sys.executable, "-m", "nestling.cli", *command], env=ENVIRONMENT)
    while process.poll() is None and not (workshop.path / "out.training/settings.json").exists():
        time.sleep(0.005)
    process.kill()
    process.wait()
    weights = workshop.teacher / "model.safetensors"
    changed = load_file(weights)
    changed["classifier.bias"] += 1
    save_file(changed, weights)
    assert "left by a run with other settings" in refused(workshop)


def test_other_settings_do_not_resume(workshop: Workshop) -> None:
    work = workshop.path / "out.training"
    work.mkdir()
    (work / "settings.json").write_text("{}")
    assert "left by a run with other settings" in refused(workshop)
