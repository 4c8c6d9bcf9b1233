from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nestling.kernels import grouped_add_norm

from .buffers import poisoned, relative_error

WEIGHT, BIAS = poisoned(1, 61, seed=1)[0], poisoned(1, 61, seed=2)[0]
EPS = 1e-12


def expected(x: Tensor, d: int) -> Tensor:
    x = x[:, :d].double()
    centred = x - x.mean(dim=1, keepdim=True)
    scaled = centred / (centred.square().mean(dim=1, keepdim=True) + EPS).sqrt()
    return scaled * WEIGHT[:d].double() + BIAS[:d].double()


@pytest.mark.parametrize("d", [(61,), (33,), (61, 17, 33)])
@pytest.mark.parametrize("with_residual", [True, False])
def test_normalises_the_prefix_alone(d: tuple[int, ...], with_residual: bool) -> None:
    rows = [slice(0, 23)] if len(d) == 1 else [slice(0, 4), slice(4, 4), slice(4, 23)]
    x, residual = poisoned(23, 61, seed=3), poisoned(23, 61, seed=4)
    for r, d_g in zip(rows, d, strict=True):
        x[r, d_g:] = float("nan")
    y = grouped_add_norm(x, residual if with_residual else None, WEIGHT, BIAS, rows, d, EPS)
    total = x + residual if with_residual else x
    for r, d_g in zip(rows, d, strict=True):
        if r.stop > r.start:
            assert relative_error(y[r, :d_g], expected(total[r], d_g)) < 1e-6


def test_a_group_without_this_layer_keeps_its_rows() -> None:
    x, residual = poisoned(9, 61), poisoned(9, 61, seed=5)
    rows = [slice(0, 4), slice(4, 9)]
    y = grouped_add_norm(x, residual, WEIGHT, BIAS, rows, (0, 20), EPS)
    assert torch.equal(y[:4], x[:4])
