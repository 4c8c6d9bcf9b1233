"""`nestling calibrate --by`: a promise to each value of a column, or an early error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestling.models.checkpoint.load import load_checkpoint

from .conftest import Nestling, complaint, everything_in


@pytest.fixture
def by_lang(tmp_path: Path) -> Path:
    """Six hundred texts of two languages."""
    path = tmp_path / "by_lang.jsonl"
    rows = [
        {"text": f"{number} {text}", "label": label, "lang": "de" if number % 3 else "en"}
        for number in range(300)
        for text, label in (("play some music", "music"), ("set an alarm for six", "alarm"))
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def test_every_group_is_promised_and_shown(
    nestling: Nestling, checkpoint_dir: Path, by_lang: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    result = nestling(
        "calibrate", checkpoint_dir, "--data", by_lang, "--by", "lang",
        "--max-drop", 0.3, "--loss", "disagreement",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "in each of the 2 groups by lang." in result.stdout
    assert "Groups by lang, the worst first" in result.stdout
    cascade = load_checkpoint(checkpoint_dir).cascades["disagreement-0.3-by-lang"]
    assert cascade.guarantee is not None
    assert cascade.guarantee.by == "lang"
    groups = {each.name: each for each in cascade.guarantee.groups}
    assert set(groups) == {"de", "en"}
    assert groups["en"].examples + groups["en"].ordering_examples == 200
    # Records know no groups: calibrating on them would drop the promise in silence.
    name, before = "disagreement-0.3-by-lang", everything_in(checkpoint_dir)
    given = ("calibrate", checkpoint_dir, "--from-shadow", by_lang)
    said = complaint(nestling(*given, "--name", name))
    assert f"name: '{name}' promises the risk to groups apart" in said
    assert f"which no record names, and as before: {name}." in nestling(*given).stderr
    assert everything_in(checkpoint_dir) == before
    shown = nestling("info", checkpoint_dir)
    assert "disagreement ≤ 30.00% at 95%, each lang" in shown.stdout


def test_what_is_wrong_with_the_groups_is_known_before_a_model_runs(
    nestling: Nestling, checkpoint_dir: Path, by_lang: Path, data: Path
) -> None:
    before = everything_in(checkpoint_dir)
    refused = {
        "nope": "no column 'nope'; there are text, label, lang",
        "text": "text and group are both read from the column 'text'",
    }
    for column, why in refused.items():
        said = complaint(nestling("calibrate", checkpoint_dir, "--data", by_lang, "--by", column))
        assert why in said
    result = nestling("calibrate", checkpoint_dir, "--data", by_lang, "--by", "lang")
    assert "it takes 798 of each, 996 more in all; 'de' has 400, 'en' has 200" in complaint(result)
    said = complaint(nestling("calibrate", checkpoint_dir, "--from-shadow", data, "--by", "lang"))
    assert said.startswith("nestling: by: --from-shadow has no columns")
    assert everything_in(checkpoint_dir) == before
