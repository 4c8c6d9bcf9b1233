from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.kernels.candidates import CANDIDATES
from nestling.kernels.layout import Groups
from nestling.kernels.linear import ACTIVATIONS, reference
from nestling.kernels.linear import triton as kernel
from nestling.kernels.prefix import Prefix
from nestling.kernels.tiles import Tile

from .buffers import TOLERANCE, poisoned, relative_error, same

Run = Callable[..., Tensor]


def by_reference(
    x: Tensor, weight: Tensor, bias: Tensor, n: int, k: int, *options: Any, **more: Any
) -> Tensor:
    """The leading n outputs and k inputs of a layer, for all rows."""
    return reference.linear(x, *one(x, weight, bias, n, k), *options, **more)


def by_triton(
    x: Tensor, weight: Tensor, bias: Tensor, n: int, k: int, *options: Any, **more: Any
) -> Tensor:
    """The same by the kernel."""
    return kernel.linear(x, *one(x, weight, bias, n, k), *options, **more)


def one(x: Tensor, weight: Tensor, bias: Tensor, n: int, k: int) -> tuple[list[Prefix], Groups]:
    return [Prefix(weight[:n, :k], bias[:n])], Groups((0, len(x)))


BOTH = pytest.mark.parametrize("run", [by_reference, by_triton], ids=["reference", "triton"])
SHAPES = [  # rows, n, k
    (1, 7, 2000),
    (7, 2000, 33),
    (33, 63, 100),
    (63, 1, 133),
    (100, 133, 63),
    (133, 100, 7),
    (2000, 33, 1),
]


def expected(x: Tensor, weight: Tensor, bias: Tensor, n: int, k: int, activation: str) -> Tensor:
    product = x[:, :k].double() @ weight[:n, :k].double().T + bias[:n].double()
    return ACTIVATIONS[activation](product)


def inputs(rows: int, n: int, k: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """x, weight and bias, each larger than the slice, NaN wherever the slice ends."""
    x, weight = poisoned(rows, k, 0, dtype), poisoned(n, k, 1, dtype)
    wide = torch.full((rows, k + 9), float("nan"), dtype=dtype)
    tall = torch.full((n + 5, k + 9), float("nan"), dtype=dtype)
    wide[:, :k], tall[:n, :k] = x, weight / k**0.5
    bias = torch.full((n + 5,), float("nan"), dtype=dtype)
    bias[:n] = poisoned(1, n, 2, dtype)[0]
    return wide, tall, bias


@BOTH
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_float64_on_the_slice(
    run: Run, shape: tuple[int, int, int], dtype: torch.dtype
) -> None:
    rows, n, k = shape
    x, weight, bias = inputs(rows, n, k, dtype)
    y = run(x, weight, bias, n, k)
    assert y.shape == (rows, n)
    assert relative_error(y, expected(x, weight, bias, n, k, "none")) < TOLERANCE[dtype]


@BOTH
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(run: Run, activation: str) -> None:
    x, weight, bias = inputs(33, 20, 50, torch.float32)
    y = run(x, weight, bias, 20, 50, activation)
    assert relative_error(y, expected(x, weight, bias, 20, 50, activation)) < 2e-6


@BOTH
def test_columns_beyond_the_slice_are_left_alone(run: Run) -> None:
    x, weight, bias = inputs(33, 20, 50, torch.float32)
    out = torch.full((33, 40), 7.0)
    assert run(x, weight, bias, 20, 50, out=out) is out
    assert (out[:, 20:] == 7).all()
    assert relative_error(out[:, :20], expected(x, weight, bias, 20, 50, "none")) < 2e-6


@pytest.mark.parametrize(
    "tile",
    dict.fromkeys(t for kinds in CANDIDATES.values() for t in kinds["half"] + kinds["tf32x3"]),
    ids=str,
)
def test_every_tile_gives_the_same(tile: Tile) -> None:
    x, weight, bias = inputs(70, 45, 150, torch.float16)
    y = by_triton(x, weight, bias, 45, 150, tile=tile)
    assert relative_error(y, expected(x, weight, bias, 45, 150, "none")) < 6e-4


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_row_does_not_depend_on_its_neighbours(dtype: torch.dtype) -> None:
    x, weight, bias = inputs(600, 40, 300, dtype)
    together = by_triton(x, weight, bias, 40, 300, "gelu")
    for row in (0, 63, 64, 599):
        alone = by_triton(x[row : row + 1], weight, bias, 40, 300, "gelu")
        assert same(alone[0], together[row])


def test_no_rows() -> None:
    x, weight, bias = inputs(1, 20, 50, torch.float32)
    assert by_triton(x[:0], weight, bias, 20, 50).shape == (0, 20)


GOOD: dict[str, Any] = {
    "x": torch.zeros(4, 8), "weight": torch.zeros(6, 8), "bias": torch.zeros(6), "n": 5, "k": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"x": torch.zeros(4, 8).half()}, TypeError, "weight: torch.float32, but x is"),
        ({"x": torch.zeros(4, 8).double()}, TypeError, "x: torch.float64; it must be one of"),
        ({"bias": torch.zeros(6).half()}, TypeError, "bias: torch.float16, but x is"),
        ({"x": torch.zeros(8, 4).T}, ValueError, "x: stride 4 between columns"),
        ({"weight": torch.zeros(8, 6).T}, ValueError, "weight: stride 6 between columns"),
        ({"x": torch.zeros(2, 4, 8)}, ValueError, "x: 3 dimensions; it must have 2"),
        ({"bias": torch.zeros(4)}, ValueError, r"bias: \(4,\); it must be 5 adjacent numbers"),
        ({"activation": "mish"}, ValueError, "activation: 'mish' is none of none, gelu"),
        ({"out": torch.zeros(4, 4)}, ValueError, r"out: \(4, 4\); it must be 4 × at least 5"),
        ({"out": torch.zeros(4, 5).half()}, TypeError, "out: torch.float16"),
    ],
)
def test_wrong_input_is_refused_before_launch(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        by_triton(**(GOOD | wrong))
