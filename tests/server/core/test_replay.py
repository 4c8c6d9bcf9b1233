"""`nestling replay` on what a real server has logged, against really asking the policies."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from nestling.cli import main
from nestling.models import Checkpoint, Predictor
from nestling.models.calibration.records import AskedStudent, ShadowRecord, previous

from ..serving import serve
from .test_shadow_log import records, wait_for

TEXTS = 80


def replay(*arguments: str | Path) -> int:
    """Its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["nestling", "replay", *map(str, arguments)])
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


@pytest.fixture(scope="module")
def log(calibrated_dir: Path, tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> Path:
    """Of 80 texts: the first half answered by `all`, the others by `short`, which skips a stage."""
    path = tmp_path_factory.mktemp("log") / "requests.jsonl"
    flags = ("--shadow", "1", "--shadow-log", str(path))
    with serve(calibrated_dir, path.with_name("stderr"), *flags) as server:
        for start, model in ((0, "all"), (TEXTS // 2, "short")):
            server.classify(texts[start : start + TEXTS // 2], model=model)
            wait_for(path, start + TEXTS // 2)
    return path


def test_gives_what_the_policies_answer(
    log: Path,
    calibrated: Checkpoint,
    calibrated_dir: Path,
    texts: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert replay(calibrated_dir, "--log", log, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["by_cascade"] == {"all": TEXTS // 2, "short": TEXTS // 2}
    assert report["refused"] == {}
    assert [p["policy"] for p in report["policies"]] == ["all", "short", "tiny", "small", "ta"]
    served = [
        *Predictor(calibrated, "all").predict(texts[: TEXTS // 2]),
        *Predictor(calibrated, "short").predict(texts[TEXTS // 2 : TEXTS]),
    ]
    ta = Predictor(calibrated, "ta").predict(texts[:TEXTS])
    for policy in report["policies"]:
        expected = Predictor(calibrated, policy["policy"]).predict(texts[:TEXTS])
        differ = sum(a.answer.label != b.answer.label for a, b in zip(expected, ta, strict=True))
        changed = sum(
            a.answer.label != b.answer.label for a, b in zip(expected, served, strict=True)
        )
        cost = sum(d.flops for d in expected)
        for field, value in (
            ("disagreement", differ / TEXTS),
            ("changed", changed / TEXTS),
            ("relative_flops", cost / sum(d.ta_flops for d in ta)),
            ("flops_against_served", cost / sum(d.flops for d in served)),
        ):
            low, high = policy[field]
            assert low - 1e-9 <= value <= high + 1e-9, (policy["policy"], field)
            if policy["policy"] not in ("all", "small"):  # nothing that `short` does not ask
                assert low == high
    whole, *_ = report["policies"]
    assert whole["answers_known"] < TEXTS
    assert report["policies"][3]["answers_known"] == TEXTS // 2
    assert any("Accuracy" in statement for statement in report["cannot_be_known"])


def test_other_thresholds(
    log: Path, calibrated_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--policy", "all", "--thresholds", "1,1", "--json")
    assert replay(calibrated_dir, "--log", log, *flags) == 0
    (policy,) = json.loads(capsys.readouterr().out)["policies"]
    assert policy["policy"] == "all[1, 1]"
    assert policy["disagreement"] == [0, 0]  # nobody is as sure as that, so the TA answers all
    assert policy["shares"]["tiny"] == [0, 0]


def test_says_it_in_a_table(
    log: Path, calibrated_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--policy", "auto", "--policy", "tiny")
    assert replay(calibrated_dir, "--log", log, *flags) == 0
    said = capsys.readouterr().out
    assert "80 texts from 20" in said
    assert "answered by all 40, short 40" in said
    for row in ("as served", "all", "tiny"):
        assert f"│ {row} " in said
    assert "\nsmall" not in said
    assert "What a log cannot tell:\n- Accuracy: the log has no true labels." in said


def test_what_it_cannot_use_is_counted_apart_and_lines_are_named(
    log: Path, calibrated_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third, *_ = records(log)
    path = tmp_path / "requests.jsonl"
    stages = [{**first["stages"][0], "student": "gone"}, *first["stages"][1:]]
    lines = [
        json.dumps(first),
        json.dumps({**first, "weights_sha256": "beef"}),
        json.dumps({**first, "precision": "int8"}),
        json.dumps({**first, "served": "ta", "stages": stages}),
        json.dumps({**first, "[/b]": "no mark-up"}),
        json.dumps({**first, "served": "nobody"}),
        json.dumps({**first, "tokens": 0}),
        json.dumps(first)[:-9],
        json.dumps({**first, "stages": [{**first["stages"][0], "confidence": 1e308}]}),
        json.dumps({**first, "ta": 2**63}),
    ]
    path.write_text("\n".join([*lines, json.dumps(second)]) + "\n")
    previous(path).write_text(json.dumps(third) + "\n\n")
    assert replay(calibrated_dir, "--log", path, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["texts"] == 3
    assert report["refused"] == {
        "of other weights": 1,
        "computed in int8": 1,
        "of students that are not there any more": 1,
    }
    named = [line.removeprefix(str(path)) for line in report["damaged"]]
    assert [line.split(":")[:3] for line in named] == [
        [".1", " line 2", " Invalid JSON"],
        ["", " line 5", " [/b]"],
        ["", " line 6", " served"],
        ["", " line 7", " tokens"],
        ["", " line 8", " Invalid JSON"],
        ["", " line 9", " stages.0.confidence"],
        ["", " line 10", " ta"],
    ]
    assert replay(calibrated_dir, "--log", path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not used: 1 of other weights" in said
    assert "line 7: tokens: Input should be greater than or equal to 1" in said
    assert "not used: 2 more lines that are no records" in said


OTHER = ShadowRecord(
    "t", "w", "all", "v", "float32", 3, (AskedStudent("ta", 1.0, 2, 0.5),), "ta", 2
)


def test_refuses_a_log_of_nothing_that_it_knows(
    calibrated_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(2 * OTHER.to_json() + b"{}\n")
    assert replay(calibrated_dir, "--log", path) == 2
    said = capsys.readouterr().err
    assert "no record that can be used; 2 of other weights; 1 damaged: " in said
    assert "line 3: time: Field required" in said


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--policy", "huge"), "policy: 'huge' is none of auto, all, short, tiny, small, ta"),
        (("--thresholds", "0.5"), "thresholds: are of one policy"),
        (("--policy", "all", "--policy", "tiny", "--thresholds", "0.5"), "are of one policy"),
        (("--policy", "all", "--thresholds", "0.5"), "thresholds: 1 for 'all', which takes 2"),
        (("--policy", "all", "--thresholds", "0.5,x"), "thresholds: 'x' is no number"),
        (("--policy", "all", "--thresholds", "0.5,nan"), "thresholds: nan is not between 0 and 1"),
        (("--runner", "jax"), "runner: 'jax' is none of torch, onnx-int8"),
    ],
)
def test_says_what_it_takes(
    log: Path,
    calibrated_dir: Path,
    flags: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert replay(calibrated_dir, "--log", log, *flags) == 2
    assert message in capsys.readouterr().err


def test_a_log_that_is_not_there(
    calibrated_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(calibrated_dir, "--log", tmp_path / "none") == 2
    assert "none: no such file" in capsys.readouterr().err
    assert replay(calibrated_dir, "--log", tmp_path) == 2
    assert f"{tmp_path}: is a folder; records are one file" in capsys.readouterr().err
