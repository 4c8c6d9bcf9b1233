"""A checkpoint with random weights, and traffic for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from nestling.cli import main
from nestling.models.training import trial

from ....conftest import LABELS
from ..conftest import write_data


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of a command that was refused."""
        assert self.status == 2, self.err
        assert "Traceback" not in self.err
        return self.err.strip().splitlines()[-1]


Further = Callable[..., Ended]


@pytest.fixture
def further(
    checkpoint_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Further:
    """`nestling train --resume-from` of the checkpoint, to `out`, with further options; the machine
    is asked only briefly.
    """
    monkeypatch.setattr(trial, "SECONDS", 0.05)

    def run(*options: str) -> Ended:
        given = [f"--resume-from={checkpoint_dir}", f"--out={tmp_path / 'out'}", *options]
        monkeypatch.setattr(sys, "argv", ["nestling", "train", *given])
        monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        said = capsys.readouterr()
        return Ended(status, said.out, said.err)

    return run


def write_traffic(path: Path, rows: int, seed: int, labels: str = "right") -> Path:
    """Texts of every label. labels: `right`, `wrong` (those of the next label) or `none`."""
    write_data(path, rows, seed)
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for row in found:
        right = row.pop("label")
        if labels != "none":
            shift = 0 if labels == "right" else 1
            row["label"] = LABELS[(LABELS.index(right) + shift) % len(LABELS)]
    return write_lines(path, found)


def write_lines(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
