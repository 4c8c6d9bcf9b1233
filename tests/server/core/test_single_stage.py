"""A student alone as a whole cascade: served, watched, recorded and calibrated anew."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from nestling.models import load_checkpoint
from nestling.models.cascade.policy import Cascade, Guarantee, Stage
from nestling.models.cascade.scope import ScopePromise
from nestling.models.cascade.score import Score
from nestling.models.checkpoint.save import write_calibration

from ..serving import serve
from .test_shadow_log import calibrate, records, wait_for


def test_a_cascade_of_one_student_is_watched_and_may_get_the_ta_back(
    calibrated_dir: Path, tmp_path: Path, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    directory, log = shutil.copytree(calibrated_dir, tmp_path / "served"), tmp_path / "shadow.jsonl"
    loaded = load_checkpoint(directory)
    smallest = next(iter(loaded.students.values()))
    guarantee = Guarantee("m", "net", 0.5, 0.9, 90, 60, -0.01, "d", loaded.weights_sha256)
    scope = ScopePromise(0.9, 0.95, 100, (1.0,))
    cascade = Cascade("alone", (Stage(smallest, 0.0, Score.MARGIN),), guarantee, scope=scope)
    temperatures = {student.name: student.temperature for student in loaded.students.values()}
    write_calibration(loaded, temperatures, {"alone": cascade}, "alone")

    with serve(directory, tmp_path / "log", "--shadow", "1", "--shadow-log", str(log)) as server:
        shown = server.client.get("/v1/models/alone").json()["guarantee"]
        assert (shown["loss"], shown["observed_risk"]) == ("net", -0.01)
        for start in range(0, len(texts), 40):
            found = server.classify(texts[start : start + 40])
            wait_for(log, start + 40)
        assert {each["decision"]["model"] for each in found} == {"alone"}
        seen = server.metrics()
        counted = [seen[name] for name in seen if name.startswith("nestling_shadow_texts_total")]
        assert sum(counted) == len(set(texts))  # each distinct text counts once
        assert seen["nestling_guarantee_promise_ratio{cascade=alone,loss=net}"] == 0.5
        assert seen["nestling_guarantee_broken{cascade=alone}"] == 0  # it takes labels to watch
    for record in records(log):
        assert [stage["student"] for stage in record["stages"]] == [smallest.name, "ta"]
        assert all("margin" in stage for stage in record["stages"])

    target = ("--max-drop", "0.6", "--confidence", "0.8")
    assert calibrate(directory, "--from-shadow", log, *target) == 0
    assert f"{len(texts)} records that can be used" in capsys.readouterr().err
    new = load_checkpoint(directory).cascades["alone"]
    assert new.stages[0].student.name == smallest.name
    assert new.stages[-1].threshold == 0
    assert new.scope == replace(scope, observed=(1.0,) * len(new.stages))
    assert new.guarantee is not None
    assert new.guarantee.loss == "disagreement"
    assert json.loads((directory / "calibration.json").read_text())["default"] == "alone"
