from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nestling.kernels.layout import Groups
from nestling.kernels.norm import reference
from nestling.kernels.norm import triton as kernel

from .buffers import TOLERANCE, norm_prefixes, poisoned, relative_error

Run = Callable[..., Tensor]
BOTH = pytest.mark.parametrize("run", [reference.norm, kernel.norm], ids=["reference", "triton"])
EPS = 1e-12
CASES = {
    "whole": (Groups((0, 23)), (2000,)),
    "a prefix": (Groups((0, 23)), (33,)),
    "three widths": (Groups((0, 4, 4, 23)), (63, 17, 133)),
    "one column": (Groups((0, 1, 23)), (100, 7)),
    "no rows": (Groups((0, 0)), (7,)),
}


def expected(x: Tensor, weight: Tensor, bias: Tensor | None, d: int) -> Tensor:
    x, weight = x[:, :d].double(), weight[:d].double()
    if bias is None:
        return x / (x.square().mean(dim=1, keepdim=True) + EPS).sqrt() * weight
    centred = x - x.mean(dim=1, keepdim=True)
    scaled = centred / (centred.square().mean(dim=1, keepdim=True) + EPS).sqrt()
    return scaled * weight + bias[:d].double()


@BOTH
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("kind", ["layer", "rms"])
@pytest.mark.parametrize("with_residual", [True, False], ids=["residual", "alone"])
def test_normalises_the_prefix_alone(
    run: Run, name: str, dtype: torch.dtype, kind: str, with_residual: bool
) -> None:
    groups, d = CASES[name]
    rows, width = groups.offsets[-1], max(d)
    weight = poisoned(1, width + 3, 1, dtype)[0, : width + 3]
    bias = poisoned(1, width + 3, 2, dtype)[0, : width + 3] if kind == "layer" else None
    x, residual = poisoned(rows, width, 3, dtype), poisoned(rows, width, 4, dtype)
    for r, d_g in zip(groups, d, strict=True):
        x[r, d_g:] = float("nan")
    y = run(x, residual if with_residual else None, norm_prefixes(weight, bias, d), groups, EPS)
    total = x.double() + residual.double() if with_residual else x
    for r, d_g in zip(groups, d, strict=True):
        if r.stop > r.start:
            # The reference rounds the sum before it normalises.
            exact = expected(total[r], weight, bias, d_g)
            assert relative_error(y[r, :d_g], exact) < 1.5 * TOLERANCE[dtype]


@BOTH
def test_a_group_without_this_layer_keeps_its_rows(run: Run) -> None:
    x, residual = poisoned(9, 61), poisoned(9, 61, seed=5)
    weight, bias = torch.ones(61), torch.zeros(61)
    y = run(x, residual, norm_prefixes(weight, bias, (0, 20)), Groups((0, 4, 9)), EPS)
    assert torch.equal(y[:4], x[:4])


def test_a_row_of_any_width() -> None:
    """Of more columns than a program could hold at once, beside a narrow one."""
    groups, d = Groups((0, 2, 3)), (16385, 1000)
    x, residual = poisoned(3, 16385, 3), poisoned(3, 16385, 4)
    weight, bias = poisoned(1, 16385, 1)[0, :16385], poisoned(1, 16385, 2)[0, :16385]
    y = kernel.norm(x, residual, norm_prefixes(weight, bias, d), groups, EPS)
    total = x.double() + residual.double()
    for r, d_g in zip(groups, d, strict=True):
        exact = expected(total[r], weight, bias, d_g)
        assert relative_error(y[r, :d_g], exact) < TOLERANCE[torch.float32]


GOOD: dict[str, Any] = {
    "x": torch.zeros(4, 8), "residual": torch.zeros(4, 8), "rows": Groups((0, 2, 4)), "eps": EPS,
    "prefixes": norm_prefixes(torch.ones(8), torch.zeros(8), (8, 3)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"residual": torch.zeros(4, 8).half()}, TypeError, "residual: torch.float16, but x is"),
        ({"residual": torch.zeros(3, 8)}, ValueError, r"residual: \(3, 8\); it must be 4 ×"),
        ({"x": torch.zeros(8, 4).T}, ValueError, "x: stride 4 between columns"),
        ({"residual": torch.zeros(4, 7)}, ValueError, r"residual: \(4, 7\); it must be 4 ×"),
        (
            {"prefixes": norm_prefixes(torch.ones(8), torch.zeros(16)[::2], (8, 3))},
            ValueError,
            "bias: .*; it must be 8 adjacent numbers",
        ),
    ],
)
def test_wrong_input_is_refused_before_launch(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        kernel.norm(**(GOOD | wrong))
