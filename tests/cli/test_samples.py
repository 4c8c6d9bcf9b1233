"""`nestling samples`: the same numbers as calibration has, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from nestling.models.calibration.samples import sample

from .conftest import Nestling, complaint

CONDITIONS = ["no loss", "chance of 50%", "expected losses", "chance of 80%", "chance of 95%"]


def rows(nestling: Nestling, *words: object) -> list[dict[str, Any]]:
    printed = nestling("samples", *words, "--json")
    assert printed.exit_code == 0, printed.stderr
    return list(json.loads(printed.stdout)["rows"])


def test_how_many_texts_a_promise_takes(nestling: Nestling) -> None:
    words = ("--max-drop", 0.005, "--confidence", 0.95, "--expected", 0.002)
    found = rows(nestling, *words)
    assert [row["condition"] for row in found] == CONDITIONS
    for row in found:
        same = sample(row["texts"], 0.005, 0.95)
        assert (row["ordering"], row["testing"]) == (same.ordering, same.testing)
        assert (row["losses_allowed"], row["chance"]) == (same.allowed, same.chance(0.002))
    shown = nestling("samples", *words).stdout
    for row in found:
        assert f"{row['texts']:,}" in shown
        assert f"{row['chance']:.1%}" in shown
    assert "Counted without texts held out of training." in " ".join(shown.split())
    assert rows(nestling, "--expected", 0.002) == found


def test_what_a_number_of_texts_can_promise(nestling: Nestling) -> None:
    found = rows(nestling, "--texts", 3000, "--expected", 0.002)
    assert [row["condition"] for row in found] == CONDITIONS
    assert {row["texts"] for row in found} == {3000}
    without, *others = [row["max_drop"] for row in found]
    assert 0.001 < without < 0.002 < min(others)  # to lose nothing takes luck, not a low risk
    assert sorted(others) == others
    for row in found:
        assert row["expected"] == 0.002
    halves = rows(nestling, "--texts", 3000)
    assert [row["expected"] for row in halves] == [row["max_drop"] / 2 for row in halves]


def test_whether_a_number_of_texts_will_do(nestling: Nestling) -> None:
    (row,) = rows(nestling, "--texts", 3000, "--max-drop", 0.005, "--expected", 0.002)
    assert row["condition"] is None
    assert row["chance"] == sample(3000, 0.005, 0.95).chance(0.002)


def test_what_nobody_can_show_is_said(nestling: Nestling) -> None:
    close = ("--max-drop", 1e-5, "--expected", 9e-6)
    found = [row["texts"] is None for row in rows(nestling, *close)]
    assert found == [False, True, True, True, True]
    assert "too many" in nestling("samples", *close).stdout
    few = rows(nestling, "--texts", 51)
    assert [row["max_drop"] is None for row in few] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--expected", 0.005], "expected: a true risk of 0.005 is not below max-drop, 0.005"),
        (["--texts", 3000, "--max-drop", 0.01, "--expected", 0.02], "not below max-drop, 0.01"),
        (["--texts", 50], "texts: 50 are too few to promise anything; it takes 51"),
        (["--texts", 400, "--max-drop", 0.005], "400 examples are too few"),
    ],
)
def test_what_is_refused(nestling: Nestling, words: list[object], said: str) -> None:
    assert said in complaint(nestling("samples", *words))


def test_it_does_not_wait_for_torch() -> None:
    program = (
        "import sys; from nestling.cli import app; app(['samples'], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
