"""The script for a machine with a card, rehearsed without one."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kernels import summary
from benchmarks.kernels.versions import ROOT

SCRIPT = ROOT / "benchmarks" / "device.sh"
SMI = "NVIDIA Fake, 1.0, 345 MHz, 3201 MHz, 1980 MHz, 3201 MHz, 75 W, 700 W, 30, 1 MiB, 0 MiB, -, -"

HANGS = """
import sys, time
from pathlib import Path
from benchmarks.kernels.record import Record
Record("kernels", Path(sys.argv[1]), 1e12, 0).keep("linear", "a", {"rows": 1})
time.sleep(600)
"""


def program(path: Path, *lines: str) -> Path:
    """An executable shell script."""
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n", "utf-8")
    path.chmod(0o755)
    return path


def rehearse(tmp_path: Path, *sections: str, python: Path | None = None) -> tuple[int, str, Any]:
    """Exit status, output, and the JSON of each section."""
    out, programs = tmp_path / "out", tmp_path / "bin"
    programs.mkdir()
    program(programs / "nvidia-smi", f"echo '{SMI}'")
    ended = subprocess.run(
        [SCRIPT, *sections],
        env=os.environ
        | {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON": str(python or sys.executable),
            "DEVICE": "cpu",
            "OUT": str(out),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    files = {file.name: file for file in out.iterdir()} if out.exists() else {}
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in files)
    assert len(files) <= 8
    found = {name: json.loads(file.read_text("utf-8")) for name, file in files.items()}
    return ended.returncode, ended.stdout, found


def test_a_section_that_is_none_is_refused(tmp_path: Path) -> None:
    for given in ("kernel", "kernels=", "kernels=0", "kernels=soon"):
        ended = subprocess.run(
            [SCRIPT, given],
            env=os.environ | {"OUT": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 2
        assert f"{given}: a section, or SECTION=SECONDS; sections are machine warm" in ended.stderr


def test_one_that_fails_or_hangs_stops_no_other(tmp_path: Path) -> None:
    """This Python ends `correctness` before it has begun, and `kernels` begins and then hangs."""
    hangs = tmp_path / "hangs.py"
    hangs.write_text(HANGS, "utf-8")
    python = program(
        tmp_path / "python",
        'case "$3" in',
        "correctness) echo it crashed; exit 139 ;;",
        f'kernels) exec {sys.executable} {hangs} "$5" ;;',
        "esac",
        f'exec {sys.executable} "$@"',
    )
    given = ("correctness", "kernels=4", "memcheck")
    status, said, found = rehearse(tmp_path, *given, python=python)
    assert status == 1, said
    rows = {row["section"]: row for row in found["summary.json"]["sections"]}
    assert list(rows) == ["correctness", "kernels", "memcheck"]
    assert rows["correctness"]["first_failure"] == "ended with status 139"
    assert rows["kernels"]["first_failure"] == "stopped at its time limit"
    assert found["correctness.json"]["state"] == found["kernels.json"]["state"] == "incomplete"
    assert found["kernels.json"]["linear"] == [{"rows": 1}]
    assert rows["memcheck"]["state"] == "not run"
    assert "compute-sanitizer: not on the PATH" in said
    assert said.count("not measured") == len(found["summary.json"]["targets"])


def test_who_ends_the_script_ends_its_section(tmp_path: Path) -> None:
    python = program(
        tmp_path / "python", f"echo $$ >{tmp_path}/running", "echo running", "exec sleep 600"
    )
    with subprocess.Popen(
        [SCRIPT, "machine"],
        env=os.environ | {"PYTHON": str(python), "OUT": str(tmp_path), "DEVICE": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
    ) as script:
        assert script.stdout
        assert any(line == "running\n" for line in script.stdout)
        script.terminate()
        assert script.wait(60) == 130
    section = Path("/proc", (tmp_path / "running").read_text("utf-8").strip(), "stat")
    deadline = time.monotonic() + 60
    while not ended(section) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ended(section)


def ended(stat: Path) -> bool:
    """Whether the process of a /proc/PID/stat is gone, or nobody but its parent's wait is left."""
    try:
        return stat.read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.slow
def test_all_but_cuda(tmp_path: Path) -> None:
    given = ("machine=60", "warm=200", "correctness=30", "kernels=200", "cascades=40",
             "server=200")  # fmt: skip
    _, said, found = rehearse(tmp_path, *given)
    rows = {row["section"]: row for row in found["summary.json"]["sections"]}
    for section in ("correctness", "cascades"):  # which go on for as long as they may
        row = rows.pop(section)
        stopped = row["first_failure"] == "stopped at its time limit"  # on a busy machine
        assert row["state"] in ("passed", "cut short") or stopped, said
    states = {section: row["state"] for section, row in rows.items()}
    assert states == dict.fromkeys(("machine", "warm", "kernels", "server"), "passed"), said
    assert found["machine.json"]["nvidia_smi"][0]["cards"][0]["name"] == "NVIDIA Fake"
    assert found["server.json"]["load"][0]["outcomes"].keys() == {"200"}
    assert len(found["server.json"]["labels"]) == 4
    assert found["warm.json"]["variants"] > 50
    assert found["summary.json"]["sections"][1]["compiled"] > 0


@pytest.mark.slow
def test_what_was_compiled_ahead_is_what_a_launch_looks_for(tmp_path: Path) -> None:
    """In a process without Triton's interpreter, on a driver that only loads."""
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(
        [str(ROOT), os.environ.get("PYTHONPATH", "")])}  # fmt: skip
    environment.pop("TRITON_INTERPRET")
    command = [sys.executable, "-m", "tests.benchmarks.launching"]
    ended = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found == {"ahead": 4, "anew": 0, "launched": 4}


def test_the_summary_of_what_has_left_nothing(tmp_path: Path) -> None:
    assert not summary.write(tmp_path, io.StringIO("kernels 1 2.5 0\n"))
    assert json.loads((tmp_path / "kernels.json").read_text("utf-8"))["state"] == "incomplete"
    assert not summary.write(tmp_path, io.StringIO(""))
