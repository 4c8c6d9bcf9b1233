"""A comparison of trivial servers: what is measured stays, what failed is tried again."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers.__main__ import _command
from benchmarks.peers.measure import Effort
from benchmarks.peers.record import read, resume
from benchmarks.peers.registry import CLASSIFY, Peer
from benchmarks.peers.session import Session
from nestling.loadtest.errors import LoadtestError
from nestling.loadtest.texts import read_texts

from ...loadtest.conftest import LATE

TRIVIAL = str(Path(__file__).with_name("trivial.py"))
GOOD = Peer(
    "good", "Good", "fp32", None, ("numpy",), "checkpoint",
    (sys.executable, TRIVIAL, "{port}"), CLASSIFY, "defaults",
)  # fmt: skip
BROKEN = replace(GOOD, name="broken", title="Broken", command=(*GOOD.command, "4"))
QUICK = Effort(repeats=1, seconds=0.2, max_lag_ms=LATE, low_rate=100.0, tolerance=0.5, wide=2.0)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "weights").write_bytes(b"1")
    return folder


def a_session(peers: list[Peer], checkpoint: Path, data: Path, effort: Effort = QUICK) -> Session:
    cache = checkpoint.parent / "cache"
    return Session(peers, checkpoint, read_texts(data), cache, effort, lambda _: None)


@pytest.mark.slow
def test_a_server_that_fails_does_not_stop_the_others(
    checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "results" / "peers.json"
    content = a_session([BROKEN, GOOD], checkpoint, data).run(out, "peers run")
    assert read(out) == content
    broken, good = content["servers"]["broken"], content["servers"]["good"]
    assert broken["runs"] == []
    assert "ended with status 4" in broken["errors"]["0"]
    assert str(tmp_path) not in out.read_text()
    [run] = good["runs"]
    assert run["accuracy"] == 1.0
    assert run["knee_per_second"] < run["fails_at_per_second"]
    assert run["list_texts_per_second"] > 0
    assert run["p50_ms"] > 0
    assert run["memory_mib"] > 1
    assert content["data"]["texts"] == 50
    assert content["command"] == "peers run"

    repaired = replace(BROKEN, command=GOOD.command)
    again = a_session([repaired, GOOD], checkpoint, data).run(out, "peers run")
    assert len(again["servers"]["broken"]["runs"]) == 1
    assert again["servers"]["broken"]["errors"] == {}
    assert again["servers"]["good"]["runs"] == good["runs"]


def test_a_server_for_another_processor_is_named_and_not_started(
    checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    peer = replace(GOOD, needs="no-such-flag")
    content = a_session([peer], checkpoint, data).run(tmp_path / "peers.json", "peers run")
    assert content["servers"]["good"]["runs"] == []
    assert content["servers"]["good"]["errors"] == {
        "preparation": "this processor has no no-such-flag"
    }


def test_turns_of_other_conditions_are_not_mixed(
    checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "peers.json"
    a_session([BROKEN], checkpoint, data).run(out, "peers run")
    a_session([BROKEN], checkpoint, data, replace(QUICK, repeats=3)).run(out, "peers run")
    with pytest.raises(LoadtestError, match="was made with another seed"):
        a_session([BROKEN], checkpoint, data, replace(QUICK, seed=1)).run(out, "peers run")
    (checkpoint / "weights").write_bytes(b"2")
    with pytest.raises(LoadtestError, match="was made with another checkpoint"):
        a_session([BROKEN], checkpoint, data).run(out, "peers run")


def test_a_file_of_something_else_is_not_written_over(tmp_path: Path) -> None:
    out = tmp_path / "peers.json"
    for text, why in (("{", "is not JSON"), ("{}", "no comparison"),
                      (json.dumps({"benchmark": "peers", "schema": 9}), "schema 9")):  # fmt: skip
        out.write_text(text)
        with pytest.raises(LoadtestError, match=why):
            resume(out, {})
        assert out.read_text() == text


def test_the_command_is_kept_without_paths_of_the_machine() -> None:
    given = ["run", "--data", "/tmp/a b/test.jsonl", "--cache=/x/y", "--checkpoint", "zoo/c"]
    assert _command(given) == (
        "python -m benchmarks.peers run --data test.jsonl --cache=y --checkpoint zoo/c"
    )


def test_effort_names_field_and_limit() -> None:
    with pytest.raises(LoadtestError, match="repeats: 0 is not a finite number of 1 or more"):
        Effort(repeats=0)
    with pytest.raises(LoadtestError, match="seconds: 0 is not a finite number above 0"):
        Effort(seconds=0)
