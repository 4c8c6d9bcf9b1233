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
GPU = re.search(r"^RUN (case .+?esac)$", DOCKERFILE, re.MULTILINE | re.DOTALL)


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
    torch = DOCKERFILE.index('"$TORCH_INDEX"} torch')
    assert all(torch < DOCKERFILE.index(f"COPY {room} ") for room in rooms())
    assert torch < DOCKERFILE.index("ARG EXTRAS")


def test_it_starts_without_rights() -> None:
    """Kubernetes' runAsNonRoot takes a number only."""
    user = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert int(user) > 0
    assert f"useradd --uid {user} " in DOCKERFILE


@pytest.mark.parametrize(
    ("extras", "compiler"),
    [("", False), ("console", False), ("console,gpu", True), ("gpu", True), ("gpus", False)],
)
def test_only_a_gpu_brings_a_compiler(extras: str, compiler: bool, tmp_path: Path) -> None:
    """The command itself, with an apt-get that writes down what it should do."""
    assert GPU
    command = GPU[1].replace("/var/lib/apt/lists", str(tmp_path / "lists"))
    said = tmp_path / "apt-get"
    said.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    said.chmod(0o755)
    environment = {"EXTRAS": extras, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", "-c", command], check=True, env=environment)
    asked = (tmp_path / "asked").read_text() if compiler else ""
    assert (tmp_path / "asked").exists() == compiler
    assert not compiler or asked.splitlines()[-1].endswith("gcc libc6-dev")
