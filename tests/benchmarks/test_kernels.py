"""The benchmark itself, on the CPU and on shapes small enough for the interpreter."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.kernels import tuning
from benchmarks.kernels.__main__ import TARGETS, summary, table
from benchmarks.kernels.candidates import CANDIDATES
from benchmarks.kernels.cascades import measure_cascade, shipped
from benchmarks.kernels.clock import Clock, copy_bandwidth, matrix_rate
from benchmarks.kernels.correctness import check
from benchmarks.kernels.gates import measure_gate
from benchmarks.kernels.linear import measure_grouped, measure_sliced
from benchmarks.kernels.shapes import Layer
from nestling.kernels import tiles

CPU = torch.device("cpu")


def test_everything_but_the_gpu() -> None:
    clock = Clock(CPU, repeats=2)
    layer = [Layer.random("small", 64, 32, CPU, torch.bfloat16)]
    a = dataclasses.replace(shipped(), vocabulary=50, dim=32, layers=2, heads=2, head_dim=16)
    result = {
        "bytes_per_second": copy_bandwidth(clock, 2**10),
        "flops_per_second": matrix_rate(clock, 16),
        "sliced_linear": measure_sliced(clock, layer, rows=(1, 8), widths=(0.5, 1.0)),
        "grouped_linear": measure_grouped(clock, layer, rows=(1, 8, 5000), widths=(0.5, 1.0)),
        "gate": measure_gate(clock, rows=(4,), labels=(3,)),
        "cascade": [measure_cascade(clock, "small", a, texts=10, lengths=(3, 5))],
    }
    assert [c["rows"] for c in result["grouped_linear"]] == [8, 5000]
    measured = summary(result)
    assert len(measured) == len(TARGETS)
    assert all(value > 0 for value in measured.values())
    assert len(table(measured)) == len(TARGETS) + 2


@pytest.mark.slow
def test_correctness_is_checked() -> None:
    errors = check(CPU)
    assert set(errors) == {
        f"{kernel} {dtype}"
        for kernel in ("sliced_linear", "grouped_linear", "grouped_norm")
        for dtype in ("float32", "float16", "bfloat16")
    }


def test_tuning_replaces_the_choices_of_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "tiles.json"
    copy.write_bytes(tiles.CHOICES.read_bytes())
    monkeypatch.setattr(tiles, "CHOICES", copy)
    monkeypatch.setattr(tuning, "ROWS", dict.fromkeys(tiles.ROW_CLASSES, (2,)))
    monkeypatch.setattr(tuning, "SIZES", dict.fromkeys(tiles.COLUMN_CLASSES, ((5, 3),)))
    tuning.tune(Clock(CPU, repeats=1), "a test")
    read = json.loads(copy.read_text("utf-8"))
    assert read["measured_on"]["sm_90"] == "a test"
    assert read["measured_on"]["sm_80"] != "a test"
    for kind, tile in (("half", torch.bfloat16), ("tf32x3", torch.float32)):
        x = torch.zeros(3, 8, dtype=tile)
        assert tiles.tile_for(x, 8, 8) in CANDIDATES["sm_90"][kind]
    tiles.choices.cache_clear()


def test_without_a_gpu_it_says_so() -> None:
    command = [sys.executable, "-m", "benchmarks.kernels"]
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(command, env=hidden, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "needs a CUDA device; there is none here" in result.stderr
