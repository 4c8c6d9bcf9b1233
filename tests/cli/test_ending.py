"""How commands end: typos, closed pipes, full disks, Ctrl-C; and what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nestling.experiments.store.database import open_database

from ..progress import without_progress
from ..server.serving import NESTLING
from .conftest import Nestling, complaint, everything_in

PIPE = 'set -o pipefail; "$@" | head -c 1 > /dev/null'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["serv"],
            "No such command 'serv'. Did you mean 'serve', 'search'? (see `nestling --help`)",
        ),
        (["serve", "--prot=1"], "No such option: --prot (Possible options: --host, --port)"),
        (["serve", "--port=abc"], "--port: 'abc' is no whole number (see `nestling serve --help`)"),
        (["serve", "--dtype=int8"], "--dtype: 'int8' is not one of 'auto', 'float32'"),
        (["calibrate"], "CHECKPOINT: is missing (see `nestling calibrate --help`)"),
        (["loadtest", "mlperf", "x", "--data=y", "--out=z"], "--scenario: is missing"),
        (["serve", "./typo-dir", "--port", "0"], "./typo-dir: no such directory"),
        (["calibrate", "typo-dir", "--data=x"], "typo-dir: no such directory"),
        (["info", __file__], f"{__file__}: is a file, not a directory"),
    ],
)
def test_a_typo_is_said_in_one_line(nestling: Nestling, words: list[str], said: str) -> None:
    assert complaint(nestling(*words)).startswith(f"nestling: {said}")


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("NESTLING_PORT=tcp://10.0.0.1:80", "'tcp://10.0.0.1:80' is no whole number"),
        ("NESTLING_SHADOW=2", "2 is above 1"),
        ("NESTLING_RUNNER=jax", "'jax' is not one of 'auto'"),
    ],
)
def test_a_wrong_variable_of_the_environment_is_named(
    nestling: Nestling, monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    name, _, value = variable.partition("=")
    monkeypatch.setenv(name, value)
    assert complaint(nestling("serve")).startswith(f"nestling: {name}: {said}")


def test_what_is_missing_where(
    nestling: Nestling, checkpoint_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = complaint(nestling("info", "."))
    assert said == "nestling: .: is no Nestling checkpoint: it has no config.json"
    (checkpoint_dir / "tokenizer.json").unlink()
    said = complaint(nestling("info", checkpoint_dir))
    assert said == f"nestling: {checkpoint_dir}/tokenizer.json: missing"


def test_a_name_that_the_hub_does_not_have(
    nestling: Nestling, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: object, **__: object) -> str:
        raise ConnectionError("a paragraph\nof the client")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    said = complaint(nestling("info", "typo-dir"))
    assert said == (
        "nestling: typo-dir: no such directory, and the Hugging Face Hub, which might have it, "
        "cannot be reached"
    )


def test_version_and_help_without_a_command(nestling: Nestling) -> None:
    assert nestling("--version").stdout.startswith("nestling ")
    for words in ([], ["loadtest"], ["experiment"]):
        shown = nestling(*words)
        assert (shown.exit_code, shown.stderr) == (2, "")
        assert "Commands:" in shown.stdout
    module = subprocess.run([*NESTLING, "--version"], capture_output=True, text=True, check=True)
    assert module.stdout == nestling("--version").stdout


@pytest.fixture(params=["buffered", "unbuffered"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Of a command that writes at its end, or with every line."""
    return os.environ | {"PYTHONUNBUFFERED": "1" if request.param == "unbuffered" else ""}


@pytest.mark.parametrize("words", [["--help"], ["serve", "-h"], ["info", "CHECKPOINT"]])
def test_head_is_no_failure(
    checkpoint_dir: Path, words: list[str], environment: dict[str, str]
) -> None:
    command = ["bash", "-c", PIPE, "-", *NESTLING]
    command += [str(checkpoint_dir) if word == "CHECKPOINT" else word for word in words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="not this system's")
def test_a_full_disk_is_said_in_one_line(checkpoint_dir: Path, environment: dict[str, str]) -> None:
    command = [*NESTLING, "info", str(checkpoint_dir)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment
        )
    assert done.returncode == 2
    assert done.stderr == "nestling: No space left on device\n"


COMMANDS_THAT_WRITE = (
    ["export", "CHECKPOINT", "--student", "tiny"],
    ["evaluate", "CHECKPOINT", "--data", "DATA"],
    ["train", "--teacher", "none", "--data", "DATA", "--validation", "DATA"],
    ["plan", "measure", "CHECKPOINT", "--data", "DATA"],
    ["loadtest", "run", "http://127.0.0.1:1", "--data", "DATA"],
    ["loadtest", "knee", "http://127.0.0.1:1", "--data", "DATA"],
    ["loadtest", "mlperf", "http://127.0.0.1:1", "--data", "DATA", "--scenario", "offline"],
)


@pytest.mark.parametrize("words", COMMANDS_THAT_WRITE, ids=lambda words: " ".join(words[:2]))
def test_out_is_tried_before_anything_else(
    nestling: Nestling, checkpoint_dir: Path, data: Path, tmp_path: Path, words: list[str]
) -> None:
    names = {"CHECKPOINT": checkpoint_dir, "DATA": data}
    before = everything_in(tmp_path)
    for out, why in (
        (Path("/proc/x"), "/proc/x cannot be written"),
        (tmp_path / "none" / "x", f"there is no folder {tmp_path}/none"),
        (data / "x", f"{data} is not a folder"),
    ):
        said = complaint(nestling(*(names.get(word, word) for word in words), "--out", out))
        assert said.startswith("nestling: --out: ")
        assert why in said
    assert everything_in(tmp_path) == before


def test_reading_writes_nothing(
    nestling: Nestling,
    checkpoint_dir: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    open_database("sqlite:///there.db").dispose()
    log = tmp_path / "empty.jsonl"
    log.touch()
    before = everything_in(tmp_path)
    few = ("--sample", 32, "--repeats", 2)
    assert nestling("info", checkpoint_dir).exit_code == 0
    assert nestling("evaluate", checkpoint_dir, "--data", data, *few).exit_code == 0
    assert nestling("key", "ada").exit_code == 0
    plan = nestling("plan", "--seconds", 0.1, "--model", "ta", "--objective-ms", 1000)
    assert plan.exit_code == 0, plan.stderr
    assert "no record" in complaint(nestling("replay", checkpoint_dir, "--log", log))
    assert "no such database" in complaint(nestling("experiment", "report", "nope"))
    there = nestling("experiment", "report", "nope", "--store", "sqlite:///there.db")
    assert "no experiment is declared" in complaint(there)
    assert nestling("loadtest", "compare", "a.json", "b.json").exit_code == 2
    assert everything_in(tmp_path) == before


def test_the_report_of_a_database_that_a_server_writes(nestling: Nestling, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'live.db'}"
    engine = open_database(url)
    with engine.connect():  # keeps its log beside it
        assert (tmp_path / "live.db-wal").exists()
        assert "no experiment is declared" in complaint(
            nestling("experiment", "report", "nope", "--store", url)
        )
    engine.dispose()


@pytest.mark.parametrize("later", [0.0, 0.7])
def test_interrupted_while_starting(checkpoint_dir: Path, later: float) -> None:
    """To the whole group of processes, as a terminal's Ctrl-C goes."""
    server = subprocess.Popen(
        [*NESTLING, "serve", str(checkpoint_dir), "--port", "0", "--runner", "auto"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"NESTLING_LOG_FORMAT": "text"},
    )
    end = time.monotonic() + 60
    while not (workers := children(server.pid)) and time.monotonic() < end:
        time.sleep(0.01)
    assert workers
    time.sleep(later)
    os.killpg(server.pid, signal.SIGINT)
    out, err = server.communicate(timeout=60)
    if "http://" in out:  # on a fast machine it was ready, and stops in good order
        assert server.returncode == 0
    else:
        assert server.returncode in (130, -signal.SIGINT)  # both are 130 to a shell
        lines = [line for line in without_progress(err).splitlines() if "INFO runner: " not in line]
        assert lines == ["nestling: interrupted"]
    end = time.monotonic() + 30  # one that was hardly there ends by itself, alone at its socket
    while left := [pid for pid in workers if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, left
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    file = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in file.read_text().split()] if file.exists() else []


def test_what_is_not_installed_is_named(
    nestling: Nestling, checkpoint_dir: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    said = complaint(nestling("calibrate", checkpoint_dir, "--data", data))
    assert "needs the extra `train`" in said
