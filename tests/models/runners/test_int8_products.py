"""Products of integers are exact: on the processor that runs this, and on those without VNNI.

ONNX Runtime looks at the processor by itself, and nothing makes it take the kernels of another: an
emulated processor does. AVX2 and AVX-512 without VNNI add two products in 16 bits.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nestling.models.precision import WEIGHT_LEVELS
from nestling.models.runners.onnx.assembly import Assembly
from nestling.models.runners.onnx.quantize import CENTRE, IntegerProducts
from nestling.models.runners.onnx.runner import CPU, session_options

from ... import programs

SHAPES = [(1, 1), (2, 7), (63, 5), (64, 384), (384, 150), (1536, 384)]
"""Of matrices: inputs, outputs."""
OLDER = ["Nehalem", "Haswell"]
"""Emulated processors: with SSE alone, and with AVX2."""
CHILD = """\
import sys
import numpy as np, onnxruntime

for folder in sys.argv[1:]:
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    expected = np.load(f"{folder}/sums.npy")
    (sums,) = session.run(["w.by_output"], {"x": np.load(f"{folder}/x.npy")})
    wrong = np.abs(sums - expected).max()
    assert not wrong, f"{expected.shape}: wrong by up to {wrong:g}"
print("exact")
"""


def matrix(inputs: int, outputs: int) -> NDArray[np.float32]:
    """By outputs in turn: all as large as it goes, all as small, each beside each, at random."""
    drawn = np.random.default_rng(0).uniform(-1, 1, (inputs, outputs))
    drawn[:, 0::4], drawn[:, 1::4] = 1, -1
    drawn[:, 2::4] = np.where(np.arange(inputs) % 2, 1, -1)[:, None]
    return drawn.astype(np.float32)


def rows(inputs: int) -> NDArray[np.float32]:
    """(7, inputs): all 255 as integers, all 1, both in turn, nothing but one, at random."""
    drawn = np.random.default_rng(1).normal(size=(7, inputs))
    drawn[0], drawn[1], drawn[2] = 3, -3, np.where(np.arange(inputs) % 2, 3, -3)
    drawn[3] = np.eye(1, inputs)
    return drawn.astype(np.float32)


def product(weight: NDArray[np.float32], shown: tuple[str, ...] = ()) -> onnx.ModelProto:
    """y = x · weight, quantised as students are. shown: further outputs of the graph, by name."""
    to = Assembly()
    y = IntegerProducts(to).multiply("x", weight, "w")
    types = {y: TensorProto.FLOAT, "x.rows": TensorProto.UINT8, "w.by_output": TensorProto.FLOAT}
    outputs = [helper.make_tensor_value_info(name, types[name], None) for name in (y, *shown)]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", len(weight)])]
    return to.model(inputs, outputs)


def constant(model: onnx.ModelProto, name: str) -> NDArray[Any]:
    (found,) = (t for t in model.graph.initializer if t.name == name)
    return numpy_helper.to_array(found)


def integers(model: onnx.ModelProto) -> NDArray[np.int64]:
    """The matrix that the graph holds."""
    return constant(model, "w.int8").astype(np.int64)


def exact(model: onnx.ModelProto, found: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What rows in integers come to, each output by its scale; a sum is exact as float32."""
    sums = (found.astype(np.int64) - CENTRE) @ integers(model)
    assert np.abs(sums).max() < 2**24
    by_output: NDArray[np.float32] = sums.astype(np.float32) * constant(model, "w.scale")
    return by_output


def run(model: onnx.ModelProto, x: NDArray[np.float32], threads: int = 1) -> dict[str, Any]:
    """All outputs, by name, as a student's session computes them."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(threads), providers=[CPU]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": x}), strict=True))


def test_no_two_products_leave_16_bits() -> None:
    model = product(matrix(384, 150), shown=("x.rows",))
    assert integers(model).max() == -integers(model).min() == WEIGHT_LEVELS
    found = run(model, rows(384))["x.rows"]
    assert (found.min(), found.max()) == (1, 255)
    limits = np.iinfo(np.int16)
    products = np.array([1, -1]) * 2 * 255 * WEIGHT_LEVELS
    assert limits.min <= products.min() < products.max() <= limits.max


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_integer_products_are_those_of_numpy(shape: tuple[int, int], threads: int) -> None:
    model = product(matrix(*shape), shown=("x.rows", "w.by_output"))
    found = run(model, rows(shape[0]), threads)
    np.testing.assert_array_equal(found["w.by_output"], exact(model, found["x.rows"]))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_alone_equals_batched_to_the_last_bit(shape: tuple[int, int]) -> None:
    model, x = product(matrix(*shape)), rows(shape[0])
    many = np.concatenate([x] * 9)  # enough of them for the kernels of many rows
    together = run(model, many)["w.product"]
    for count in (1, 2, 5):
        parts = [many[first : first + count] for first in range(0, len(many), count)]
        apart = [run(model, part)["w.product"] for part in parts[: len(x)]]
        np.testing.assert_array_equal(np.concatenate(apart), together[: count * len(x)])


@pytest.mark.needs("qemu-x86_64")
@pytest.mark.parametrize("processor", OLDER)
def test_they_are_exact_without_vnni(processor: str, tmp_path: Path) -> None:
    folders = []
    for number, shape in enumerate(SHAPES):
        folder, x = tmp_path / str(number), rows(shape[0])
        folder.mkdir()
        model = product(matrix(*shape), shown=("x.rows", "w.by_output"))
        onnx.save(model, folder / "model.onnx")
        np.save(folder / "x.npy", x)
        np.save(folder / "sums.npy", exact(model, run(model, x)["x.rows"]))
        folders.append(str(folder))
    emulator = [str(programs.find("qemu-x86_64")), "-cpu", processor]
    done = subprocess.run(
        [*emulator, sys.executable, "-c", CHILD, *folders],
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "exact"), done.stderr
