"""What the Dockerfile takes from the repository is what setup.py installs, and nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from .files import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COPIED = [
    source
    for sources in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for source in sources.split()
]
TORCH, COMPILER = re.findall(r"^RUN (case .+?esac)$", DOCKERFILE, re.MULTILINE | re.DOTALL)


def rooms() -> set[str]:
    """As setup.py finds them."""
    return {each.parent.name for each in ROOT.glob("*/__init__.py")} - {"benchmarks", "tests"}


def test_every_room_is_in_the_image() -> None:
    assert {source for source in COPIED if (ROOT / source).is_dir()} == rooms()


def test_the_build_sees_what_it_copies_and_no_more() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(COPIED)


def test_what_is_large_comes_before_what_changes() -> None:
    assert all(DOCKERFILE.index(TORCH) < DOCKERFILE.index(f"COPY {room} ") for room in rooms())


def test_it_starts_without_rights() -> None:
    """Kubernetes' runAsNonRoot takes a number only."""
    user = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert int(user) > 0
    assert f"useradd --uid {user} " in DOCKERFILE


@pytest.mark.parametrize(
    ("extras", "compiler"),
    [("", False), ("cpu,console", False), ("gpu,console", True), ("gpu", True), ("gpus", False)],
)
def test_only_a_gpu_brings_a_compiler(extras: str, compiler: bool, tmp_path: Path) -> None:
    asked = asked_of("apt-get", COMPILER, extras, tmp_path)
    assert bool(asked) == compiler
    assert not compiler or asked[-1].endswith("gcc libc6-dev")


@pytest.mark.parametrize(
    ("extras", "torch"),
    [("", False), ("cpu,console", False), ("gpu,console", True), ("console,torch", True)],
)
def test_only_what_needs_torch_brings_it(extras: str, torch: bool, tmp_path: Path) -> None:
    asked = asked_of("pip", TORCH, extras, tmp_path)
    assert [line.rpartition(" ")[2] for line in asked] == ["torch"] * torch


def asked_of(program: str, command: str, extras: str, folder: Path) -> list[str]:
    """The command itself, with a program that writes down what it should do."""
    command = command.replace("/var/lib/apt/lists", str(folder / "lists"))
    said = folder / program
    said.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n')
    said.chmod(0o755)
    environment = {"EXTRAS": extras, "PATH": f"{folder}:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", command], check=True, env=environment)
    asked = folder / "asked"
    return asked.read_text().splitlines() if asked.exists() else []
