"""A run over a file that is stopped, however that happens, and given again."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ..conftest import SENTENCES
from ..progress import without_progress
from ..server.serving import NESTLING

pytestmark = pytest.mark.slow
ROWS = 40_000
WAIT = 120.0
"""Seconds for anything that is waited for, on a machine that has much else to do."""


@pytest.fixture
def words(checkpoint_dir: Path, tmp_path: Path) -> list[str]:
    text = SENTENCES.split()
    with (tmp_path / "in.jsonl").open("w") as file:
        for i in range(ROWS):
            said = " ".join(text[i % 23 : i % 23 + 1 + i % 7])
            file.write(json.dumps({"id": i, "text": said}) + "\n")
    return [
        *NESTLING, "classify", str(checkpoint_dir), "--input", str(tmp_path / "in.jsonl"),
        "--output", str(tmp_path / "out.jsonl"), "--runner", "torch", "--processes", "2",
    ]  # fmt: skip


def started(words: list[str], limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=limit,
    )  # fmt: skip


def kept(folder: Path) -> int:
    """Rows that the state knows of."""
    with suppress(FileNotFoundError, ValueError):
        return int(json.loads((folder / "out.jsonl.partial.json").read_text())["tally"]["rows"])
    return 0


def await_more(process: subprocess.Popen[str], folder: Path, than: int) -> None:
    end = time.monotonic() + WAIT
    while kept(folder) <= than:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def await_no_process_of(group: int) -> None:
    end = time.monotonic() + WAIT
    with suppress(ProcessLookupError):
        while True:
            os.killpg(group, 0)
            assert time.monotonic() < end
            time.sleep(0.05)


def test_nothing_is_lost_or_twice(words: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        before = kept(tmp_path)
        process = started(words)
        await_more(process, tmp_path, before)
        process.kill()
        process.communicate()
        await_no_process_of(process.pid)
        assert not (tmp_path / "out.jsonl").exists()

    before = kept(tmp_path)
    size = (tmp_path / "out.jsonl.partial").stat().st_size
    full = started(
        words, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10**5, size + 10**5))
    )
    _, said = full.communicate()
    assert full.returncode == 2, said
    assert f"nestling: {tmp_path}/out.jsonl: File too large" in said
    assert "Traceback" not in said

    process = started(words)
    await_more(process, tmp_path, before)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert without_progress(said).splitlines()[-1] == "nestling: interrupted"
    assert "Traceback" not in said
    await_no_process_of(process.pid)

    last = started(words)
    told, said = last.communicate()
    assert last.returncode == 0, said
    assert f"{ROWS:,} rows (" in told
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(range(ROWS))
    assert all(row["label"] for row in rows)
    alone = [*words, "--processes", "1"]
    alone[alone.index(str(tmp_path / "out.jsonl"))] = str(tmp_path / "alone.jsonl")
    subprocess.run(alone, check=True, capture_output=True)
    assert (tmp_path / "alone.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


def test_a_process_that_ends_is_told(words: list[str], tmp_path: Path) -> None:
    process = started(words)
    await_more(process, tmp_path, 0)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
            break
    _, said = process.communicate()
    assert process.returncode == 2
    assert "processes: one has ended with signal 9; the machine may lack memory" in said
    await_no_process_of(process.pid)


def test_lines_are_answered_as_they_come(checkpoint_dir: Path) -> None:
    words = [*NESTLING, "classify", str(checkpoint_dir), "--runner", "torch", "--processes", "2"]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(3):
        process.stdin.write(json.dumps({"id": number, "text": "play some music"}).encode() + b"\n")
        assert json.loads(process.stdout.readline())["id"] == number
    process.stdin.write(b'{"text": "play"\n')
    process.stdin.close()
    assert process.wait(WAIT) == 2
    assert process.stderr is not None
    assert b"standard input: line 4: column 16: is not JSON" in process.stderr.read()


def test_a_cpu_needs_no_torch(checkpoint_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "play some music"}\n')
    program = (
        "import sys; sys.argv = ['nestling', *sys.argv[1:]]; from nestling.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'transformers', 'pyarrow'} & sys.modules.keys()))"
    )
    words = ["classify", checkpoint_dir, "--input", tmp_path / "in.jsonl", "--runner", "onnx",
             "--output", tmp_path / "out.jsonl"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
