"""What is shown while a command works, and what is known before it does."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from nestling.cli.progress import ProgressDisplay

from ..progress import without_progress
from .conftest import Nestling, complaint


def test_lines_come_by_themselves_and_say_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nestling.cli.progress.EVERY", 0.2)
    monkeypatch.setattr("nestling.cli.progress.TICK", 0.02)
    said: list[str] = []
    with ProgressDisplay(said.append, "starting: ") as progress:
        progress.step("silent work")
        wait(said, 2)  # without another step
        progress.step("texts", 4, 10)  # a run that goes on: four were done before
        wait(said, 3)
        progress.step("texts", 5, 10, lambda: "loss: 1.0")
        wait(said, 5)
    assert said[0].startswith("starting: silent work: ")
    assert said[2].startswith("starting: texts: 4 of 10, ")
    assert said[2].endswith(" s so far")
    last = re.fullmatch(r"starting: texts: 5 of 10, about (\d+) s left, loss: 1.0", said[-1])
    assert last is not None
    assert int(last[1]) >= 1  # five steps at the 0.2 s and more of the fifth
    assert without_progress("".join(f"{line}\n" for line in said)) == ""


def wait(said: list[str], lines: int) -> None:
    end = time.monotonic() + 30
    while len(said) < lines and time.monotonic() < end:
        time.sleep(0.01)
    assert len(said) >= lines


def test_a_quick_command_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay() as progress:
        for done in range(100):
            progress.step("texts", done, 100)
    assert capsys.readouterr().err == ""


def test_of_many_processes_the_first_one_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nestling.cli.progress.EVERY", 0.01)
    monkeypatch.setattr("nestling.cli.progress.TICK", 0.01)
    said: list[str] = []
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        with ProgressDisplay(said.append) as progress:
            progress.step("starting")
            if rank == "1":
                time.sleep(0.1)
                assert not said
            else:
                wait(said, 1)


def test_too_few_texts_are_known_before_the_model_runs(
    nestling: Nestling, checkpoint_dir: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("nestling.server.build.load_for", load)
    said = complaint(nestling("calibrate", checkpoint_dir, "--data", data))
    assert "40 examples are too few" in said
    for words in (("--data", data, "--name", "ta"), ("--data", data, "--label-column", "intent")):
        complaint(nestling("calibrate", checkpoint_dir, *words))
    data.write_text('{"text": "book", "label": "poetry"}\n')
    for command in ("calibrate", "evaluate"):
        assert "poetry" in complaint(nestling(command, checkpoint_dir, "--data", data))


def test_what_is_said_of_the_data_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    said = "a.csv: '[/red] [bold]' is 'a' " + "and so on " * 20
    with ProgressDisplay() as progress:
        progress.note(said)
    assert capsys.readouterr().err == said + "\n"
