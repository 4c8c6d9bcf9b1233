"""The comparison over data sets: its processes, what it keeps, its tables and targets."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.training import datasets
from benchmarks.training.sets import figure, tables, targets
from benchmarks.training.sets.passes import Pass
from benchmarks.training.sets.process import CommandFailedError, Finished, Installation, once
from benchmarks.training.sets.registry import SETS
from nestling.models.errors import DataError
from nestling.models.progress import SILENT


def run(folder: Path, program: str, **more: Any) -> Finished:
    return once("step", [sys.executable, "-c", program], folder, os.environ, SILENT, **more)


def test_a_command_is_run_once_and_counted(tmp_path: Path) -> None:
    program = (
        "import sys; open('ran', 'a').write('x'); print('out'); print('said', file=sys.stderr)"
    )
    first = run(tmp_path, program)
    assert (first.out, first.error, first.status) == ("out\n", "said", 0)
    assert first.spent.attempts == 1
    assert first.spent.cpu_seconds is not None
    assert run(tmp_path, program) == first
    assert (tmp_path / "ran").read_text() == "x"


def test_a_failure_is_named_and_tried_again(tmp_path: Path) -> None:
    with pytest.raises(CommandFailedError, match=r"status 3: no luck .*step\.1\.failed"):
        run(tmp_path, "import sys; print('no luck', file=sys.stderr); sys.exit(3)")
    assert run(tmp_path, "pass").spent.attempts == 1
    other = tmp_path / "other"
    other.mkdir()
    assert run(other, "raise SystemExit(2)", expected=lambda ended: ended.status == 2).status == 2


def test_the_time_of_killed_attempts_counts(tmp_path: Path) -> None:
    log = tmp_path / "step.1.log"
    log.write_text("1000.0 nestling train\nhalf done\n")
    os.utime(log, (1060, 1060))
    found = run(tmp_path, "pass")
    assert found.spent.attempts == 2
    assert found.spent.wall_seconds >= 60
    assert found.spent.cpu_seconds is None


def test_an_attempt_that_still_runs_is_left_alone(tmp_path: Path) -> None:
    with (tmp_path / "step.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CommandFailedError, match="still runs"):
            run(tmp_path, "pass")
    assert run(tmp_path, "pass").spent.attempts == 1


def test_what_was_made_after_all_is_not_made_again(tmp_path: Path) -> None:
    made = tmp_path / "checkpoint"
    made.mkdir()
    log = tmp_path / "step.1.log"
    log.write_text("1000.0 nestling train\nwritten\n")
    os.utime(log, (1060, 1060))
    found = run(tmp_path, "raise SystemExit(1)", made=made)
    assert (found.status, found.error, found.spent.wall_seconds) == (0, "written", 60)


def test_another_installation_does_not_find_this_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "here")
    assert "PYTHONPATH" not in Installation("python", own=False).environment()
    assert Installation("python", own=True).environment()["PYTHONPATH"] == "here"


def row(name: str, times: float = 8.0, lost: float = 0.0, ratio: float = 0.4) -> dict[str, Any]:
    cascade = {
        "cost": 1 / times,
        "times_fewer": times,
        "lost": lost,
        "interval": [lost - 0.002, lost + 0.002],
        "broken": lost,
        "shares": {"tiny": 0.9, "ta": 0.1},
        "oracle": {"cost": 0.9 / times, "times_fewer": times / 0.9, "students": ["tiny", "ta"]},
        "cost_over_oracle": 1.111,
        "oracle_of_all": {"cost": 0.8 / times, "times_fewer": times / 0.8, "students": ["ta"]},
        "cost_over_oracle_of_all": 1.25,
    }
    spent = {"wall_seconds": 700.0, "cpu_seconds": 600.0, "peak_mib": 900.0, "attempts": 1}
    now = {
        "date": "2026-01-01T00:00:00+00:00",
        "machine": "a machine, 2 cores",
        "train": spent | {"cpu_seconds": 600 * ratio},
        "held_out": {"texts": 500, "teacher_accuracy": 0.9, "ta_accuracy": 0.899},
        "students": {"tiny": {"accuracy": 0.8, "cost": 0.02}, "ta": {"accuracy": 0.9, "cost": 1}},
        "cascades": dict.fromkeys(("0.005", "0.01", "0.02"), cascade),
        "net": dict.fromkeys(("0.005", "0.01", "0.02"), cascade),
        "tiny_saver": {**cascade, "student": "tiny"},
    }
    return {
        "set": name,
        "kind": SETS[name].kind,
        "texts": {
            "train": 5000, "calibration": 1000, "test": 500, "labels": 6,
            "unknown": {"calibration": 0, "test": 0},
        },
        "tfidf": {"accuracy": 0.88, "answered": 0.67},
        "now": now,
        "before": now | {"train": spent, "held_out": None},
    }  # fmt: skip


def judged(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each.figure: targets.judged(each, rows) for each in targets.targets()}


def test_all_targets_are_met_by_good_rows() -> None:
    found = judged([row(name) for name in SETS])
    assert [figure for figure, each in found.items() if not each["met"]] == []
    assert not any("limited_by" in each for each in found.values())


def test_what_misses_a_target_is_named() -> None:
    rows = [row(name) for name in SETS]
    rows[3] = row("trec", times=3.2, lost=0.03, ratio=0.7)
    found = judged(rows)
    missed = [figure for figure, each in found.items() if not each["met"]]
    assert len(missed) == 5  # the accuracy of three cascades, TREC's cost, minutes
    assert all("trec" in found[figure]["limited_by"] for figure in missed)


def test_a_ta_below_its_teacher_may_be_noise() -> None:
    rows = [row(name) for name in SETS]
    held = {"texts": 500, "teacher_accuracy": 0.9, "ta_accuracy": 0.89, "p_value": 0.3}
    name = targets.targets()[0].figure
    rows[0]["now"]["held_out"] = held
    assert judged(rows)[name]["met"]
    rows[0]["now"]["held_out"] = held | {"p_value": 0.01}
    assert judged(rows)[name]["limited_by"] == "missed by clinc150 (-1.00)"
    rows[0]["now"]["held_out"] = {"texts": 0}
    assert judged(rows)[name]["limited_by"] == "not measured: clinc150"


def test_what_is_not_measured_is_not_met() -> None:
    anchors = {name: value for name, value in row("cr").items() if name not in ("now", "before")}
    assert all(each["limited_by"] == "not measured" for each in judged([anchors]).values())
    some = judged([row("trec"), anchors])
    assert some["fewer FLOPs at 1 %, TREC, the least"]["met"]
    assert (
        "not measured: clinc150" in some["fewer FLOPs at 1 %, all sets, the median"]["limited_by"]
    )


def test_tables_and_picture_are_made_of_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [row("trec"), row("cr", times=1.0)]
    rows[1]["now"]["cascades"]["0.01"] = rows[1]["now"]["cascades"]["0.01"] | {"shares": {}}
    monkeypatch.setattr(tables, "measured", lambda name: {"sets": rows})
    made = {name: lines() for name, lines in tables.TABLES.items()}
    assert all(len(lines) == 4 for name, lines in made.items() if name != "set picture")
    assert "no cascade: the TA" in made["set cascades 0.01"][3]
    figure.draw(rows, tmp_path / "sets.svg")
    assert "trec" in (tmp_path / "sets.svg").read_text("utf-8")
    rows.clear()
    assert tables.TABLES["set picture"]() == ["Not measured yet."]


def way(folder: Path, python: str = "python", own: bool = True) -> Pass:
    return Pass(folder, Installation(python, own), not own, SILENT)


def test_a_kept_result_is_of_the_same_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "trained", lambda way, teacher, *more: {"teacher": teacher})
    first = datasets.result_of(way(tmp_path / "new"), "bert", {}, anchors=False)
    assert datasets.result_of(way(tmp_path / "new"), "elsewhere/bert", {}, False) == first
    with pytest.raises(DataError, match=r"begun with teacher bert, not albert: .* --work"):
        datasets.result_of(way(tmp_path / "new"), "albert", {}, anchors=False)


def test_a_killed_run_is_gone_on_with_by_the_same_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(way: Pass, *more: object) -> None:
        (way.folder / "train.json").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "trained", killed)
    older = way(tmp_path / "before", "one/python", own=False)
    with pytest.raises(KeyboardInterrupt):
        datasets.result_of(older, "bert", {}, anchors=False)
    with pytest.raises(DataError, match="begun with teacher bert, not albert"):
        datasets.result_of(older, "albert", {}, anchors=False)
    other = way(tmp_path / "before", "two/python", own=False)
    with pytest.raises(DataError, match="begun with python one/python, not two/python"):
        datasets.result_of(other, "bert", {}, anchors=False)


def test_a_folder_from_before_teachers_were_kept_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.json").touch()
    monkeypatch.setattr(datasets, "trained", lambda *given: {"accuracy": 0.9})
    assert datasets.result_of(way(tmp_path), "bert", {}, anchors=False) == {"accuracy": 0.9}
    assert datasets.result_of(way(tmp_path), "albert", {}, anchors=False) == {"accuracy": 0.9}
    (tmp_path / "result.json").write_text('{"teacher": "bert"}')
    with pytest.raises(DataError, match="begun with teacher bert, not albert"):
        datasets.result_of(way(tmp_path), "albert", {}, anchors=False)


def test_what_an_earlier_version_did_stays_where_it_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "datasets.json"
    datasets.keep(out, {"cr": row("cr")})
    monkeypatch.setattr(datasets, "prepared", lambda *given: {})
    monkeypatch.setattr(datasets, "anchor", lambda work: {})
    monkeypatch.setattr(datasets, "chosen", lambda only, data: [SETS["cr"]])
    monkeypatch.setattr(datasets, "result_of", lambda *given, **more: {"accuracy": 1.0})
    words = ["datasets", "--data", tmp_path, "--work", tmp_path, "--teacher", "bert", "--out", out]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    with pytest.raises(SystemExit):
        datasets.main()
    kept = datasets.read(out)["cr"]
    assert kept["now"] == {"accuracy": 1.0}
    assert kept["before"] == row("cr")["before"]


def test_a_set_that_no_earlier_version_was_asked_about_has_no_such_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = {name: value for name, value in row("trec").items() if name != "before"}
    monkeypatch.setattr(tables, "measured", lambda name: {"sets": [row("cr"), alone]})
    assert len(tables.TABLES["set before"]()) == 3
    found = judged([alone])
    assert found["fewer FLOPs at 1 %, TREC, the least"]["met"]


def test_rows_of_other_sets_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "datasets.json"
    datasets.keep(out, {"cr": row("cr"), "trec": row("trec")})
    kept = datasets.read(out)
    assert list(kept) == ["trec", "cr"]
    assert kept["cr"] == json.loads(json.dumps(row("cr")))
    out.write_text("{}")
    with pytest.raises(DataError, match="out:"):
        datasets.read(out)
