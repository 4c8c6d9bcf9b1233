"""The table at the end of further training: every test with its p and its level."""

from __future__ import annotations

import pytest

from nestling.cli.train_further import show
from nestling.models.training.further.comparison import Comparison, Judgement


def row(student: str, lost: int, texts: int = 200, by_the_ta: bool = True) -> Comparison:
    after = 1 - lost / texts
    return Comparison("traffic", student, texts, 1.0, after, 0, lost, by_the_ta)


def shown(judgement: Judgement, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Lines of the table, by student; all others under "others"."""
    show(judgement)
    lines = capsys.readouterr().out.replace("│", " ").splitlines()
    of = {each.student for each in judgement.compared}
    found = {name: next(line for line in lines if f" {name} " in line) for name in of}
    return found | {"others": " ".join(line for line in lines if line not in found.values())}


def test_each_test_shows_its_p_and_its_level(capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(Judgement([row("tiny", 2), row("ta", 20)], "ta", by_labels=False), capsys)
    assert "-1.0 (" in found["tiny"]
    assert found["tiny"].split()[-2:] == ["0.25", "0.025"]
    assert found["ta"].split()[-2:] == ["0.025", "worse"]
    assert "e-" in found["ta"].split()[-3]
    assert "Too few" not in found["others"]


def test_what_is_not_tested_shows_neither(capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(Judgement([row("tiny", 2), row("ta", 20)], "ta", by_labels=True), capsys)
    assert found["ta"].split()[-2:] == ["100.0%", "90.0%"]


def test_few_texts_could_not_have_told(capsys: pytest.CaptureFixture[str]) -> None:
    few = Judgement([row(f"s{i}", 0, 10, False) for i in range(8)], "ta", by_labels=False)
    assert "10 of traffic; a loss of fewer than 8 of them would not" in shown(few, capsys)["others"]
    none = Judgement([row("tiny", 0, 3, False)], "ta", by_labels=False)
    assert "3 of traffic; even the loss of all would not" in shown(none, capsys)["others"]
