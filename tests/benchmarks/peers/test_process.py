"""A server as a process: awaited until it answers, ended with all its children."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.peers.process import PeerProcess, free_port
from benchmarks.peers.registry import CLASSIFY
from nestling.loadtest.errors import LoadtestError

TRIVIAL = str(Path(__file__).with_name("trivial.py"))


def a_process(log: Path, *arguments: str) -> PeerProcess:
    port = free_port()
    command = [sys.executable, TRIVIAL, str(port), *arguments]
    return PeerProcess(command, {}, port, CLASSIFY, "auto", log.parent, log)


def test_it_answers_within_and_is_gone_after(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "trivial.log"
    with a_process(log) as server:
        assert server.ready_seconds > 0
        child = psutil.Process(int(log.read_text()))
        alone = psutil.Process(child.ppid()).memory_full_info().pss
        assert server.memory() > alone > 0
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_one_that_ends_too_soon_names_status_and_log(tmp_path: Path) -> None:
    log = tmp_path / "trivial.log"
    with (
        pytest.raises(LoadtestError, match=r"ended with status 3 .* see .*trivial\.log"),
        a_process(log, "3"),
    ):
        pass
    assert log.read_text() == "no model\n"


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(LoadtestError, match="no-such-program: No such file"),
        PeerProcess(
            ["no-such-program"], {}, free_port(), CLASSIFY, "auto", tmp_path, tmp_path / "log"
        ),
    ):
        pass


def test_one_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peers.process.READY", 0.3)
    sleeper = [
        sys.executable,
        "-c",
        "import os, time; print(os.getpid(), flush=True); time.sleep(600)",
    ]
    log = tmp_path / "log"
    begun = time.monotonic()
    with (
        pytest.raises(LoadtestError, match=r"did not answer within 0.3 s; see "),
        PeerProcess(sleeper, {}, free_port(), CLASSIFY, "auto", log.parent, log),
    ):
        pass
    assert time.monotonic() - begun < 60
    if told := log.read_text():
        assert not psutil.pid_exists(int(told))
