"""Sections of `benchmarks/device.sh` whose programs do not do as they should."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kernels.record import Record
from benchmarks.kernels.sections import memcheck, server


def test_what_a_memory_checker_watches_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would compute beside the next section, whose times are then wrong."""
    watched = tmp_path / "watched"
    checker = tmp_path / memcheck.PROGRAM
    checker.write_text(f"#!/bin/sh\necho begun\nsleep 600 &\necho $! >{watched}\nwait\n", "utf-8")
    checker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    record = Record("memcheck", tmp_path, 2, time.monotonic())
    memcheck.run(record, "cuda")
    assert record.failures == ["compute-sanitizer had not ended after 2 s"]
    assert record.found["output"] == "begun\n"
    # Killed, and at most not yet buried by whoever inherits it.
    status = Path(f"/proc/{watched.read_text('utf-8').strip()}/stat")
    assert not status.exists() or status.read_text("utf-8").rpartition(")")[2].split()[0] == "Z"


def test_a_server_ends_where_the_other_one_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []

    class Begun(AbstractContextManager[Any]):
        def __exit__(self, *_: object) -> None:
            ended.append("cpu")

    def serving(device: str, log: Path) -> Begun:
        if log.stem == "device":
            raise RuntimeError("no")
        return Begun()

    monkeypatch.setattr(server, "serving", serving)
    monkeypatch.setattr(server, "IMPORTED", ())
    with pytest.raises(RuntimeError, match="no"):
        server.run(Record("server", tmp_path, 1e12, 0.0), "cpu")
    assert ended == ["cpu"]
