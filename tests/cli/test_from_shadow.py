"""A log is read in the precision of its records, and the next start is told of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from nestling.models import Cascade, Checkpoint, Stage
from nestling.models.calibration.records import AskedStudent, ShadowRecord
from nestling.models.cascade.policy import Guarantee
from nestling.models.checkpoint.load import load_checkpoint
from nestling.models.checkpoint.manifest import calibrated_for
from nestling.models.checkpoint.save import write_calibration

from .conftest import Nestling, complaint


def served_in_int8(checkpoint: Checkpoint, log: Path) -> ShadowRecord:
    """Calibrate it for both precisions, and write what a server in int8 would have recorded."""
    sha256 = checkpoint.weights_sha256
    promise = Guarantee("LTT", "drop", 0.2, 0.9, 500, 300, 0.005, "d" * 64, sha256)
    stages = (Stage(checkpoint.students["tiny"], 0.9), Stage(checkpoint.ta, 0.0))
    cascade = Cascade("c", stages, replace(promise, reference="float32"))
    for precision in ("float32", "int8"):
        write_calibration(checkpoint, {}, {"c": cascade}, "c", precision)
    asked = (AskedStudent("tiny", 1.0, 1, 0.8), AskedStudent("ta", 1.0, 1, 0.9))
    time, version = "2026-11-28T12:00:00+00:00", cascade.version(sha256)
    record = ShadowRecord(time, sha256, "c", version, "int8", 5, asked, "ta", 1)
    log.write_bytes(record.to_json() * 400)
    return record


def test_from_int8_to_int8(checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path) -> None:
    log = tmp_path / "shadow.jsonl"
    served_in_int8(checkpoint, log)
    run = nestling("replay", checkpoint.path, "--log", log, "--json")
    assert json.loads(run.stdout)["texts"] == 400
    run = nestling("calibrate", checkpoint.path, "--from-shadow", log)
    assert "400 records that can be used" in run.stderr, run.output
    assert "computes in float32 from its next start or reload on: calibr" in run.stdout
    assert "--runner onnx-int8 keeps int8" in run.stdout
    now = load_checkpoint(checkpoint.path)
    assert now.cascades["c"].guarantee.loss == "drop"
    anew = calibrated_for(now, "int8").cascades["c"].guarantee
    assert (anew.source, anew.loss, anew.reference) == ("shadow", "disagreement", "int8")


def test_it_is_float32_by_word_and_where_they_differ(
    checkpoint: Checkpoint, nestling: Nestling, tmp_path: Path
) -> None:
    log = tmp_path / "shadow.jsonl"
    record = served_in_int8(checkpoint, log)
    for given in (("calibrate", "--from-shadow"), ("replay", "--log")):
        words = (given[0], checkpoint.path, given[1], log, "--precision", "float32")
        assert "400 computed in int8" in complaint(nestling(*words))
    with log.open("ab") as more:
        more.write(replace(record, precision="float32").to_json())
    run = nestling("replay", checkpoint.path, "--log", log, "--json")
    assert json.loads(run.stdout)["refused"] == {"computed in int8": 400}
