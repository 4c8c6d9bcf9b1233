from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nestling.kernels import grouped_linear

from .buffers import poisoned, relative_error

WEIGHT, BIAS = poisoned(123, 61, seed=1), poisoned(1, 123, seed=2)[0]
CASES = {
    "one group": ([slice(0, 37)], [45], [61]),
    "three widths": ([slice(0, 5), slice(5, 28), slice(28, 37)], [123, 17, 1], [61, 33, 5]),
    "one group skips": ([slice(0, 12), slice(12, 37)], [0, 99], [0, 7]),
    "an empty group": ([slice(0, 0), slice(0, 37)], [8, 64], [16, 61]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("activation", ["none", "gelu", "tanh"])
def test_equals_float64_on_each_prefix(name: str, activation: str) -> None:
    rows, n, k = CASES[name]
    x = poisoned(37, 61)
    for r, k_g in zip(rows, k, strict=True):
        x[r, k_g:] = float("nan")  # a group's columns beyond its width are not read
    y = grouped_linear(x, WEIGHT, BIAS, rows, n, k, activation)
    assert y.shape == (37, max(n))
    act = {"none": lambda t: t, "gelu": F.gelu, "tanh": torch.tanh}[activation]
    for r, n_g, k_g in zip(rows, n, k, strict=True):
        if n_g and r.stop > r.start:
            product = x[r, :k_g].double() @ WEIGHT[:n_g, :k_g].double().T
            assert relative_error(y[r, :n_g], act(product + BIAS[:n_g].double())) < 1e-6


def test_reads_the_weight_in_place() -> None:
    weight = torch.nn.Parameter(WEIGHT.clone())
    y = grouped_linear(poisoned(4, 61), weight, BIAS, [slice(0, 4)], [3], [2])
    y.sum().backward()
    assert weight.grad is not None
    assert weight.grad[:3, :2].abs().min() > 0
    assert weight.grad[3:].abs().sum() == weight.grad[:, 2:].abs().sum() == 0
