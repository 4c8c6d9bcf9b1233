"""The programs that redraw calibrations: from texts, from records, and by group."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.training import groups, guarantee
from benchmarks.training.population import add_options, population
from nestling.models import load_checkpoint
from nestling.models.calibration.choice import SCORES
from nestling.models.cascade.policy import Cascade, Stage
from nestling.models.checkpoint.save import write_calibration


@pytest.fixture
def given(checkpoint_dir: Path, tmp_path: Path) -> argparse.Namespace:
    """Six hundred texts, and a checkpoint whose default cascade asks all its students."""
    data = tmp_path / "data.jsonl"
    rows = [
        {"text": f"{number} {text}", "label": label}
        for number in range(300)
        for text, label in (("play some music", "music"), ("set an alarm for six", "alarm"))
    ]
    data.write_text("\n".join(map(json.dumps, rows)) + "\n")
    loaded = load_checkpoint(checkpoint_dir)
    stages = [Stage(student, 0.9) for student in loaded.students.values()]
    cascade = Cascade("all", (*stages[:-1], Stage(stages[-1].student, 0.0)))
    temperatures = dict.fromkeys(loaded.students, 1.0)
    write_calibration(loaded, temperatures, {"all": cascade}, "all", "float32")
    parser = argparse.ArgumentParser()
    add_options(parser)
    words = f"{checkpoint_dir} --data {data} --alpha 0.4 --examples 500 --redraws 2"
    return parser.parse_args(words.split())


@pytest.mark.parametrize("from_shadow", [False, True])
def test_every_redraw_is_counted(given: argparse.Namespace, from_shadow: bool) -> None:
    given.from_shadow, given.scores = from_shadow, list(SCORES)
    whole = population(given, agreement=from_shadow)
    found = list(guarantee.redraws(given, whole))
    said = guarantee.report(given, whole, found)
    assert said["source"] == ("shadow" if from_shadow else "texts")
    assert sum(said["chosen"].values()) == given.redraws == len(found)
    assert 0 <= said["chosen_above_alpha"][guarantee.NOW] <= 1
    assert 0 < said["relative_flops"][guarantee.NOW] <= 1
    assert "relative_time" not in said


def test_groups_are_counted_beside_all_texts(given: argparse.Namespace, tmp_path: Path) -> None:
    file = tmp_path / "kinds.json"
    file.write_text(json.dumps({"noise": ["music"], "time": ["alarm"]}))
    whole = population(given)
    said = groups.measured(given, whole, groups.groups_of(whole, file))
    assert said["groups"] == 2
    assert sum(said["worst"].values()) == given.redraws
    assert said["worst_group_above_alpha"][groups.APART] <= 1
