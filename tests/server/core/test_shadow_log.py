"""From served texts to new thresholds: the log of the shadow, and what is made of it."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from nestling.cli import main
from nestling.models import Checkpoint, NestlingError, Predictor, load_checkpoint
from nestling.models.calibration.records import AskedStudent, ShadowRecord, previous, read_lines
from nestling.models.checkpoint.integrity import read_hashed_json
from nestling.server.core.constraints import RequestConstraints
from nestling.server.core.inference import answer
from nestling.server.core.requests import Inputs
from nestling.server.core.service import Service
from nestling.server.core.shadow_log import ShadowLog
from nestling.server.http.keys import new_key
from nestling.server.settings import Settings

from ..engine.test_engine import GatedRunner, one, run, until
from ..serving import Server, serve

KEY, DIGEST = new_key()
RECORD = ShadowRecord(
    "t", "w", "all", "v", "float32", 3, (AskedStudent("ta", 1.0, 2, 0.5),), "ta", 2
)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def calibrate(*arguments: str | Path) -> int:
    """Its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["nestling", "calibrate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def test_every_stage_is_asked_at_the_temperature_of_its_cascade(
    calibrated: Checkpoint, texts: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "shadow.jsonl"

    async def scenario(service: Service, runner: GatedRunner) -> None:
        runner.poison = -1
        for row in range(40):
            await answer(service, one(texts[row]), RequestConstraints())
            await until(lambda row=row: len(records(path)) > row)  # type: ignore[misc]

    run(calibrated, scenario, shadow=1.0, shadow_log=path)  # type: ignore[arg-type]
    cascade = calibrated.policy("all")
    expected = [Predictor(calibrated, s.student.name).predict(texts[:40]) for s in cascade.stages]
    for row, record in enumerate(records(path)):
        assert set(record) == {
            "time", "weights_sha256", "cascade", "version", "precision", "tokens", "stages",
            "served", "ta",
        }  # fmt: skip
        assert record["weights_sha256"] == calibrated.weights_sha256
        assert record["version"] == cascade.version(calibrated.weights_sha256)
        assert record["ta"] == expected[-1][row].answer.label
        assert record["tokens"] == len(expected[0][row].tokens)
        for stage, asked, decisions in zip(cascade.stages, record["stages"], expected, strict=True):
            assert asked["student"] == stage.student.name
            assert asked["temperature"] == stage.student.temperature
            assert asked["label"] == decisions[row].answer.label
            assert asked["confidence"] == pytest.approx(decisions[row].answer.confidence, abs=1e-5)


def test_texts_are_kept_only_when_that_is_asked_for(
    calibrated: Checkpoint, texts: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "shadow.jsonl"
    ids = calibrated.tokenizer.encode(texts[:1])

    async def scenario(service: Service, runner: GatedRunner) -> None:
        runner.poison = -1
        await answer(service, Inputs(texts[:3], single=False), RequestConstraints())
        await until(lambda: len(records(path)) == 3)
        await answer(service, Inputs([], single=False, tokens=ids), RequestConstraints())
        await until(lambda: len(records(path)) == 4)

    run(calibrated, scenario, shadow=1.0, shadow_log=path, shadow_texts=True)  # type: ignore[arg-type]
    kept = [record.get("text") for record in records(path)]
    assert kept == [*texts[:3], None]
    assert all(isinstance(each, ShadowRecord) for each in read_lines(path))


def test_texts_want_a_log() -> None:
    with pytest.raises(NestlingError, match="shadow_texts: there is no shadow_log"):
        Settings(shadow=0.1, shadow_texts=True)


def test_a_full_file_gives_way_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    size = len(RECORD.to_json())
    log = ShadowLog(path, lambda: None, largest=3 * size)
    for _ in range(8):
        log.write(RECORD)
    assert len(records(path)) == 2
    assert len(records(previous(path))) == 3
    assert len(list(tmp_path.iterdir())) == 2


def test_of_two_that_find_a_file_full_one_renames_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    size = len(RECORD.to_json())
    one, other = (ShadowLog(path, lambda: None, largest=3 * size) for _ in range(2))
    for _ in range(3):
        one.write(RECORD)
    lock = fcntl.flock

    def late(file: object, kind: int) -> None:
        monkeypatch.undo()
        other.write(RECORD)
        lock(file, kind)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", late)
    one.write(RECORD)
    assert len(records(path)) == 2
    assert len(records(previous(path))) == 3


def test_a_full_disk_is_said_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    failures: list[None] = []
    log = ShadowLog(Path("/dev/full"), lambda: failures.append(None))
    for _ in range(3):
        log.write(RECORD)
    assert len(failures) == 3
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text


def test_a_file_that_cannot_be_written_is_known_at_start(tmp_path: Path) -> None:
    with pytest.raises(NestlingError, match=r"shadow_log: .*none/log: No such file"):
        ShadowLog(tmp_path / "none" / "log", lambda: None)
    with pytest.raises(NestlingError, match="shadow_log: nothing is asked twice while shadow is 0"):
        Settings(shadow_log=tmp_path / "log")


@pytest.fixture
def directory(calibrated_dir: Path, tmp_path: Path) -> Path:
    return shutil.copytree(calibrated_dir, tmp_path / "served")


def versions(server: Server) -> dict[str, str]:
    return {m["id"]: m["version"] for m in server.client.get("/v1/models").json()["data"]}


def test_from_traffic_to_new_thresholds(
    directory: Path, tmp_path: Path, texts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    keys, log = tmp_path / "keys", tmp_path / "shadow.jsonl"
    keys.write_text(f"admin {DIGEST}\n")
    flags = ("--admin-keys", str(keys), "--shadow", "1", "--shadow-log", str(log))
    with serve(directory, tmp_path / "log", *flags) as server:
        before = versions(server)
        for start in range(0, len(texts), 40):  # as many as may wait to be watched, at most
            server.classify(texts[start : start + 40])
            wait_for(log, start + 40)
        assert not set(texts) & set(log.read_text().split('"'))

        assert calibrate(directory, "--from-shadow", log, "--max-drop", "0.01") == 2
        assert "cascade 'all': 200 examples are too few" in capsys.readouterr().err
        assert versions(server) == before

        old = load_checkpoint(directory)
        target = ("--max-drop", "0.6", "--confidence", "0.8")
        page = tmp_path / "page.html"
        assert calibrate(directory, "--from-shadow", log, *target, "--report", page) == 0
        said, progress = capsys.readouterr()
        assert "200 records that can be used" in progress
        assert "Without records, and as before: short." in said
        new = load_checkpoint(directory)
        assert new.students == old.students
        assert new.cascades["short"] == old.cascades["short"]
        assert new.default == "all"
        guarantee = new.cascades["all"].guarantee
        assert guarantee is not None
        assert guarantee.source == "shadow"
        assert guarantee.observed_risk <= guarantee.alpha == 0.6
        assert f"200 shadow, sha256 {guarantee.data_sha256}, from " in page.read_text()

        reply = server.client.post("/admin/reload", headers={"X-API-Key": KEY})
        assert reply.status_code == 200, reply.text
        after = versions(server)
        assert after["all"] == new.cascades["all"].version(new.weights_sha256) != before["all"]
        assert after["short"] == before["short"]
        shown = server.client.get("/v1/models/all").json()["guarantee"]
        assert shown["source"] == "shadow"
        assert server.classify(texts[0])["decision"]["model"] == "all"
        assert server.metrics()["nestling_shadow_log_errors_total"] == 0


def wait_for(log: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(records(log)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "takes one of --data and --from-shadow"),
        (("--from-shadow", "x", "--data", "y"), "takes one of --data and --from-shadow"),
        (("--from-shadow", "x", "--loss", "drop"), "--from-shadow: has no labels"),
        (("--from-shadow", "x", "--name", "y"), "name: 'y' is no cascade of this checkpoint"),
        (("--from-shadow", "x"), "x: no such file"),
        (("--data", "x", "--runner", "jax"), "runner: 'jax' is none of torch, onnx-int8"),
    ],
)
def test_says_what_it_takes(
    calibrated_dir: Path, flags: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(calibrated_dir, *flags) == 2
    assert message in capsys.readouterr().err


def test_records_of_other_weights_alone_are_refused(
    calibrated_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    path.write_bytes(3 * RECORD.to_json())
    assert calibrate(calibrated_dir, "--from-shadow", path) == 2
    assert "no record that can be used; 3 of other weights" in capsys.readouterr().err
    assert read_hashed_json(calibrated_dir / "calibration.json")["default"] == "all"
