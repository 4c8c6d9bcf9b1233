"""The bounds of the kernels' tests are narrow enough: a kernel with one fault fails them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from nestling.kernels.layout import Groups
from nestling.kernels.norm import reference

from .buffers import TOLERANCE, norm_prefixes, poisoned, prefixes, relative_error, same
from .mutants import mutant

LINEAR = {
    "a step along k too few": (r"range\(0, wide, DEPTH\)", "range(DEPTH, wide, DEPTH)"),
    "the sum starts anew at each step": (
        r"w_part, total, (input_precision=PRECISION\) x_tile \+= DEPTH)",
        r"w_part, tl.zeros_like(total), \1",
    ),
    "what lies beyond k is multiplied too": (
        r"mask=left\[None, :\] < k",
        "mask=left[None, :] <= k",
    ),
    "the last row is its neighbour": (r"row_end - 1\)", "row_end - 2)"),
    "the bias is its neighbour's": (r"tl.load\(b \+ columns,", "tl.load(b + columns + 1,"),
    "a product is rounded before it is summed": (
        r"(\n +)(total \+= tl.load\(b)",
        r"\1total = total.to(tl.float16).to(tl.float32)\1\2",
    ),
}
ROWS, N, K = 70, 45, 150


def both(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    x, weight = poisoned(ROWS, K, 0, dtype), poisoned(N, K, 1, dtype)
    return x, weight, poisoned(1, N + 1, 2, dtype)[0, : N + 1]


@pytest.mark.parametrize("fault", LINEAR)
def test_a_faulty_linear_kernel_is_found(fault: str, tmp_path: Path) -> None:
    faulty = mutant("linear.triton", *LINEAR[fault], tmp_path)
    x, weight, bias = both(torch.float32)
    weight = torch.cat([weight, weight[:1]])
    y = faulty.linear(x, prefixes(weight, bias, (N,), (K,)), Groups((0, ROWS)))
    exact = x.double() @ weight[:N].double().T + bias[:N].double()
    assert not relative_error(y, exact) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_row_that_leans_on_its_neighbours_is_found(dtype: torch.dtype, tmp_path: Path) -> None:
    """Half of one number of the row before, in each but a batch's first."""
    faulty = mutant(
        "linear.triton",
        r"(\n +)(y_rows = y \+ rows)",
        r"\1before = tl.minimum(tl.maximum(rows - 1, 0), row_end - 1)[:, None] * x_stride"
        r"\1total += 0.5 * tl.load(x + before).to(tl.float32) * (rows > 0)[:, None]"
        r"\1\2",
        tmp_path,
    )
    x, weight, bias = both(dtype)
    weight = torch.cat([weight, weight[:1]])
    views = prefixes(weight, bias, (N,), (K,))
    together = faulty.linear(x, views, Groups((0, ROWS)))
    alone = faulty.linear(x[5:6], views, Groups((0, 1)))
    assert not same(alone[0], together[5])


NORM = {
    "the mean is that of the whole row": (
        r"tl.sum\(total\) / d",
        "tl.sum(total) / (d + 1)",
    ),
    "the residual is left out": (r"(values \+=) (tl.load\(residual)", r"\1 0 * \2"),
    "a group's width is its neighbour's": (r"tl.load\(ds \+ group\)", "tl.load(ds)"),
}


@pytest.mark.parametrize("fault", NORM)
def test_a_faulty_norm_is_found(fault: str, tmp_path: Path) -> None:
    faulty = mutant("norm.triton", *NORM[fault], tmp_path)
    groups, d = Groups((0, 4, 23)), (63, 17)
    views = norm_prefixes(torch.rand(63), torch.rand(63), d)
    given = (poisoned(23, 63), poisoned(23, 63, 1), views, groups, 1e-6)
    y, exact = faulty.norm(*given), reference.norm(*given)
    assert not all(
        relative_error(y[r, :d_g], exact[r, :d_g]) < 1.5 * TOLERANCE[torch.float32]
        for r, d_g in zip(groups, d, strict=True)
    )
