"""The command line in this process, and as a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nestling.cli import app

Nestling = Callable[..., Result]


@pytest.fixture
def nestling(monkeypatch: pytest.MonkeyPatch) -> Nestling:
    """Run a command line here; no line of progress, however slow the machine."""
    monkeypatch.setattr("nestling.cli.progress.EVERY", 1e6)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Forty texts of two known labels."""
    path = tmp_path / "data.jsonl"
    rows = [
        f'{{"text": "{number} {text}", "label": "{label}"}}'
        for number in range(20)
        for text, label in (("play some music", "music"), ("set an alarm for six", "alarm"))
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def complaint(result: Result) -> str:
    """What a refused command says: one line on stderr, nothing else, exit status 2."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("nestling: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr.strip()


def everything_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"(folder)"
        for path in sorted(folder.rglob("*"))
    }
