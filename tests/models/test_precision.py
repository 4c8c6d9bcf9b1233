"""Precisions: their files, their margins, and the options that choose one."""

from __future__ import annotations

import re

import pytest
import torch

from nestling.kernels.gate.reference import MARGINS
from nestling.models import NestlingError
from nestling.models.precision import (
    INT8,
    PRECISIONS,
    Precision,
    chosen,
    file_of,
    logits_in,
    margin_of,
    name_of,
    pinned,
)
from nestling.models.runners import RunnerName
from nestling.server.settings import Settings


def test_each_has_files_of_its_own() -> None:
    assert [file_of("calibration.json", precision) for precision in PRECISIONS] == [
        "calibration.json",
        "calibration.bfloat16.json",
        "calibration.float16.json",
        "calibration.onnx-int8.json",
    ]
    assert file_of("report.json", "float16") == "report.float16.json"


def test_margins_are_those_of_the_logits() -> None:
    assert {precision: margin_of(precision) for precision in PRECISIONS} == {
        "float32": MARGINS[torch.float32],
        "bfloat16": MARGINS[torch.bfloat16],
        "float16": MARGINS[torch.float16],
        "int8": MARGINS[torch.float32],  # rounded inside, and given as float32
    }
    for dtype in MARGINS:
        assert logits_in(name_of(dtype)) == dtype


@pytest.mark.parametrize(
    ("runner", "precision", "expected"),
    [
        (None, None, "float32"),
        ("torch", None, "float32"),
        ("onnx-int8", None, "int8"),
        (None, "int8", "int8"),
        ("onnx-int8", "int8", "int8"),
        (None, "bfloat16", "bfloat16"),
        ("torch", "float16", "float16"),
    ],
)
def test_options_choose_one(runner: str | None, precision: str | None, expected: str) -> None:
    assert chosen(runner, precision) == expected


@pytest.mark.parametrize(
    ("runner", "precision", "message"),
    [
        (None, "int4", "precision: 'int4' is none of float32, bfloat16, float16, int8"),
        ("jax", None, "runner: 'jax' is none of torch, onnx-int8"),
        ("torch", "int8", "int8 does not go with the runner torch; that computes in float32, bf"),
        ("onnx-int8", "float32", "float32 does not go with the runner onnx-int8; that computes in"),
        ("onnx-int8", "bfloat16", "bfloat16 does not go with the runner onnx-int8"),
    ],
)
def test_options_that_contradict_each_other(
    runner: str | None, precision: str | None, message: str
) -> None:
    with pytest.raises(NestlingError, match=re.escape(message)):
        chosen(runner, precision)


@pytest.mark.parametrize(
    ("runner", "served", "expected"),
    [
        ("torch", "float32", "float32"),
        ("torch", "bfloat16", "bfloat16"),
        ("torch", "int8", "float32"),
        ("onnx", "float32", "float32"),
        ("onnx", "bfloat16", "float32"),
        ("onnx", "int8", "float32"),
        ("onnx-int8", "bfloat16", "int8"),
        ("onnx-int8", "int8", "int8"),
    ],
)
def test_a_pinned_runner_computes_in_what_it_can(
    runner: RunnerName, served: Precision, expected: Precision
) -> None:
    assert pinned(runner, served) == expected
    main = Settings(runner="onnx-int8") if served == "int8" else Settings(dtype=served)
    own = main.pinning(runner)
    assert own.runner == runner
    assert runner == INT8 or own.dtype == expected
