"""The commands, against a real server of a small checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import LABELS, SENTENCES
from ..progress import without_progress
from ..server.serving import NESTLING, serve
from .stub import Stub


def loadtest(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [*NESTLING, "loadtest", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_a_server_from_run_to_comparison(checkpoint_dir: Path, tmp_path: Path) -> None:
    data = tmp_path / "test.jsonl"
    words = SENTENCES.split()
    rows = [{"text": " ".join(words[n % 9 : n % 9 + 6]), "label": LABELS[n % 5]} for n in range(40)]
    data.write_text("\n".join(json.dumps(row) for row in rows))
    with serve(checkpoint_dir, tmp_path / "log", "--target-delay-ms", "0") as server:
        for name, models in (("a", ["ta", "tiny"]), ("b", ["tiny"])):
            done = loadtest(
                "run", server.url, "--data", data, "--out", tmp_path / name,
                "--rate", "30,60", "--seconds", 1, "--warmup", 0.2, "--processes", 1,
                "--repeats", 2,
                "--protocol", "native=2,tei=1,oip=1,huggingface=1", "--batch", "1=2,4=1",
                "--faults", "disconnect=0.05,malformed=0.2", "--price-per-hour", 2,
                "--max-lag-ms", 60_000, *(f for m in models for f in ("--model", m)),
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert f"{tmp_path / name}: report.json, report.html" in done.stdout
            assert "in time per second" in done.stdout
        assert server.metrics()["nestling_requests_total{code=500,endpoint=/predict}"] == 0
    report = json.loads((tmp_path / "a" / "report.json").read_text("utf-8"))
    check_report(report)
    assert (tmp_path / "a" / "report.html").read_text("utf-8").count("<svg") == 5
    compared = loadtest("compare", tmp_path / "a/report.json", tmp_path / "b/report.json")
    assert compared.returncode == 0, compared.stderr
    assert "goodput_per_second" in compared.stdout
    as_json = loadtest("compare", tmp_path / "a/report.json", tmp_path / "b/report.json", "--json")
    found = json.loads(as_json.stdout)
    assert found["spread"] == "min-max over repeats"
    accuracy = next(r for r in found["ratios"]["tiny"] if r["metric"] == "accuracy")
    assert accuracy["ratio"] == pytest.approx(1, abs=0.4)


def check_report(report: dict) -> None:  # type: ignore[type-arg]
    assert report["seed"] == 0
    assert report["command"].startswith("nestling loadtest run http://")
    assert report["hardware"]["cores"] >= 1
    assert report["versions"]["nestling"]
    assert report["server"]["about"]["model_id"] == "checkpoint"
    assert [(run["model"], run["repeat"]) for run in report["runs"]] == [
        ("ta", 0), ("tiny", 0), ("ta", 1), ("tiny", 1),
    ]  # fmt: skip
    for run in report["runs"]:
        assert list(run["outcomes"]) == ["200"]
        assert list(run["faults"]["malformed"]) == ["400"]
        assert 0 <= run["accuracy"] <= 1
        assert run["cost"]["money_machine"] > 0
        assert run["energy"]["readable"] in (True, False)
        assert len(run["timeline"]["sent"]) == 1
        assert 0 < run["students"][run["model"]]["share"] <= 1
    assert report["runs"][0]["agreement"] == 1  # the TA, which `auto` is here, against itself
    assert report["reference"]["model"] == "ta"


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--rate", "0"], "rate: 0 is not a finite number above 0"),
        ([], "rate: is needed, such as 200, unless there is a --trace"),
        (["--rate", "5", "--protocol", "grpc"], "protocol: 'grpc' is none of native, tei"),
        (["--rate", "5", "--repeats", "0"], "--repeats: 0 is below 1"),
        (["--rate", "1e-9"], "rate: no request is due in so short a time"),
        (["--rate", "5", "--reference", "x", "--protocol", "tei=1"], ""),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    data: Path, tmp_path: Path, flags: list[str], why: str
) -> None:
    with Stub() as stub:
        done = loadtest("run", stub.url, "--data", data, "--out", tmp_path / "out", "--seconds",
                        "0.2", "--warmup", "0", "--max-lag-ms", "60000", *flags)  # fmt: skip
    if why:
        assert done.returncode == 2
        said = without_progress(done.stderr)
        assert said.startswith(f"nestling: {why}")
        assert said.count("\n") == 1
        assert not (tmp_path / "out").exists()
    else:
        assert done.returncode == 0, done.stderr


def test_a_reference_that_does_not_answer_is_refused_before_the_load(
    data: Path, tmp_path: Path
) -> None:
    with Stub(status=404) as stub:
        done = loadtest("run", stub.url, "--data", data, "--out", tmp_path / "out", "--rate", 5)
        assert stub.seen["/v1/classify"] == 1
    assert done.returncode == 2
    assert "reference: 'ta' does not answer: {'404': 1}" in done.stderr


def test_a_client_that_fell_behind_writes_nothing(data: Path, tmp_path: Path) -> None:
    with Stub() as stub:
        done = loadtest("run", stub.url, "--data", data, "--out", tmp_path / "out", "--rate",
                        2_000, "--seconds", 0.1, "--warmup", 0, "--processes", 1,
                        "--reference", "none", "--max-lag-ms", 0.001)  # fmt: skip
    assert done.returncode == 2
    assert "client: fell behind its own schedule" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_key_is_sent_and_not_recorded(data: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("very-secret\n")
    with Stub() as stub:
        done = loadtest("run", stub.url, "--data", data, "--out", tmp_path / "out", "--rate", 20,
                        "--seconds", 0.5, "--max-lag-ms", 60_000, "--key-file", key)  # fmt: skip
        assert done.returncode == 0, done.stderr
        sent = {headers.get("authorization") for _, headers, _ in stub.requests}
    assert sent == {"Bearer very-secret"}
    for name in ("report.json", "report.html"):
        assert "very-secret" not in (tmp_path / "out" / name).read_text("utf-8")


@pytest.mark.slow
def test_a_trace_is_replayed(data: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace.txt"
    trace.write_text("20 40 20 40\n")
    with Stub() as stub:
        done = loadtest("run", stub.url, "--data", data, "--out", tmp_path / "out", "--trace",
                        trace, "--trace-speed", 2, "--seconds", 2, "--processes", 1, "--max-lag-ms",
                        60_000)  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["traffic"]["trace"] == {"file": "trace.txt", "begin": 0.0, "speed": 2.0}
    assert report["runs"][0]["offered_per_second"] == pytest.approx(60, rel=0.5)


def test_help_waits_for_nothing_heavy() -> None:
    heavy = "{'numpy', 'torch', 'matplotlib'}"
    code = f"import sys, nestling.cli; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    for command in ("run", "knee", "mlperf", "compare"):
        assert "--help" in loadtest(command, "--help").stdout
