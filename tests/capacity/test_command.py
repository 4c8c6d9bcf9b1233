"""`nestling plan`, as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from nestling.capacity.profile.profile import Profile
from nestling.cli import app

from ..progress import without_progress


@pytest.fixture
def mine(profile: Profile, tmp_path: Path) -> Path:
    path = tmp_path / "mine.json"
    profile.write(path)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["plan", *map(str, arguments)])


@pytest.mark.usefixtures("brief")
def test_a_plan(calibrated_dir: Path, mine: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text(" ".join(["500"] * 20))
    done = run(
        "--checkpoint", calibrated_dir, "--hardware", mine, "--rate", "1000,1000000",
        "--trace", trace, "--seconds", 2, "--price-per-hour", 1,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Measured on made-up" in done.stdout
    as_json = run(
        "--checkpoint", calibrated_dir, "--hardware", mine, "--rate", "1000,1000000",
        "--trace", trace, "--seconds", 2, "--price-per-hour", 1, "--json",
    )  # fmt: skip
    said = json.loads(as_json.stdout)
    assert said["measured"] is True
    assert [each["model"] for each in said["policies"]] == ["ta", "auto"]
    for each in said["policies"]:
        small, large = (fleet["replicas"] for fleet in each["fleets"])
        assert large > 900 * (small - 2)


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_an_estimate_says_that_it_is_one_and_how_to_measure(
    calibrated_dir: Path, mine: Path
) -> None:
    given = (
        "--checkpoint", calibrated_dir, "--hardware", "h200", "--host", mine, "--seconds", 2,
        "--model", "ta",
    )  # fmt: skip
    done = run(*given)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("ESTIMATED, NOT MEASURED")
    assert "nestling plan measure CHECKPOINT" in done.stdout
    assert json.loads(run(*given, "--json").stdout)["measured"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--hardware", "h900"], "hardware: 'h900'"),
        (["--rate", "many"], "rate: 'many'"),
        (["--model", "huge"], "model: 'huge'"),
        (["--objective-ms", "0.5"], "objective-ms: 0.5 is below"),
        (["--trace", "nowhere.csv"], "nowhere.csv"),
        (["--headroom", "2"], "--headroom: 2 is above 0.99"),
    ],
)
def test_what_cannot_be_planned_says_why(
    calibrated_dir: Path, mine: Path, arguments: list[str], said: str
) -> None:
    given = ["--checkpoint", calibrated_dir, "--hardware", mine, *arguments]
    done = run(*given)
    assert done.exit_code == 2
    assert without_progress(done.stderr).startswith("nestling: ")
    assert without_progress(done.stderr).count("\n") == 1
    assert said in done.stderr


def test_other_weights(mine: Path) -> None:
    done = run("--hardware", mine)  # with the checkpoint that ships
    assert done.exit_code == 2
    assert "whose weights are" in done.stderr
