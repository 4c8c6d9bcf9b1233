from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nestling.kernels.layout import Groups
from nestling.kernels.linear import linear, reference
from nestling.kernels.linear import triton as kernel
from nestling.kernels.linear.rounded import rounded
from nestling.kernels.operations import TRAINING
from nestling.kernels.prefix import Prefix

from .buffers import TOLERANCE, poisoned, prefixes, relative_error, same

Run = Callable[..., Tensor]
BOTH = pytest.mark.parametrize(
    "run", [reference.linear, kernel.linear], ids=["reference", "triton"]
)
N, K = 133, 100
CASES = {
    "one group": (Groups((0, 37)), (45,), (61,)),
    "three widths": (Groups((0, 5, 28, 37)), (133, 17, 1), (61, 33, 5)),
    "one group skips": (Groups((0, 12, 37)), (0, 99), (0, 7)),
    "an empty group": (Groups((0, 0, 37)), (8, 64), (16, 61)),
    "empty at the end": (Groups((0, 37, 37)), (8, 64), (16, 61)),
    "all empty": (Groups((0, 0, 0)), (8, 64), (16, 61)),
    "skewed": (Groups((0, 1, 2, 700)), (133, 7, 33), (100, 63, 1)),
    "widths of 16": (Groups((0, 70, 71)), (128, 64), (96, 32)),
}


@BOTH
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_equals_float64_on_each_prefix(run: Run, name: str, dtype: torch.dtype) -> None:
    groups, n, k = CASES[name]
    rows = groups.offsets[-1]
    x, weight = poisoned(rows, K, 0, dtype), poisoned(N, K, 1, dtype)
    bias = poisoned(1, N, 2, dtype)[0]
    for r, k_g in zip(groups, k, strict=True):
        x[r, k_g:] = float("nan")  # a group's columns beyond its width are not read
    out = torch.full((rows, N + 3), 7.0, dtype=dtype)
    views = prefixes(weight, bias, n, k)
    y = run(x, views, groups, out=out)
    assert y is out
    for r, n_g, k_g in zip(groups, n, k, strict=True):
        assert (y[r, n_g:] == 7).all()  # nor written
        if n_g and r.stop > r.start:
            exact = x[r, :k_g].double() @ weight[:n_g, :k_g].double().T + bias[:n_g].double()
            assert relative_error(y[r, :n_g], exact) < TOLERANCE[dtype]
    assert run(x, views, groups).shape == (rows, max(n))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_row_is_the_same_alone_and_in_any_batch(dtype: torch.dtype) -> None:
    groups, n, k = Groups((0, 3, 3, 590, 600)), (133, 5, 40, 64), (100, 100, 77, 64)
    x, weight = poisoned(600, K, 0, dtype), poisoned(N, K, 1, dtype)
    bias = poisoned(1, N, 2, dtype)[0]
    views = prefixes(weight, bias, n, k)
    together = kernel.linear(x, views, groups, "gelu")
    for row, n_g, k_g in ((2, 133, 100), (3, 40, 77), (589, 40, 77), (590, 64, 64)):
        one = prefixes(weight, bias, (n_g,), (k_g,))
        alone = kernel.linear(x[row : row + 1], one, Groups((0, 1)), "gelu")
        assert same(alone[0], together[row, :n_g])


def test_reads_its_groups_from_the_device() -> None:
    """As a replayed CUDA graph does: other offsets in the same tensor, the same launch."""
    groups, n, k = Groups((0, 3, 9)), (20, 4), (10, 30)
    x, weight, bias = poisoned(9, 30), poisoned(20, 30, 1), torch.zeros(20)
    captured = groups.on(x.device)
    captured.copy_(torch.tensor([0, 7, 9]))
    views = prefixes(weight, bias, n, k)
    y = kernel.linear(x, views, groups)
    moved = kernel.linear(x, views, Groups((0, 7, 9)))
    assert same(y[:7], moved[:7])
    assert same(y[7:, :4], moved[7:, :4])


@pytest.mark.parametrize("offsets", [(0, 5, 3), (1, 5), (0, 5, 5, 4), ()])
def test_refuses_offsets_that_are_not_sorted(offsets: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"offsets: .* do not start at 0, or are not sorted"):
        Groups(offsets)


def test_reads_the_weight_in_place() -> None:
    weight = torch.nn.Parameter(torch.randn(133, 61))
    y = linear(poisoned(4, 61), prefixes(weight, torch.zeros(133), [3], [2]), Groups((0, 4)))
    y.sum().backward()
    assert weight.grad is not None
    assert weight.grad[:3, :2].abs().min() > 0
    assert weight.grad[3:].abs().sum() == weight.grad[:, 2:].abs().sum() == 0


def test_in_training_as_many_rows_as_few_products_have() -> None:
    counts = {rounded(rows) for rows in range(1, 5000)}
    assert len(counts) < 130
    for rows in range(1, 5000):
        assert 0 <= rounded(rows) - rows < max(8, rows / 16)


@pytest.mark.parametrize("rows", [1, 5, 37, 1001])
def test_rows_that_are_added_change_nothing(rows: int) -> None:
    """Neither the answer nor a gradient, beyond what bfloat16 rounds."""
    torch.manual_seed(0)
    weight, bias = torch.randn(N, K, requires_grad=True), torch.randn(N, requires_grad=True)
    x = torch.randn(rows, K + 9, requires_grad=True)
    found = []
    for run in (reference.linear, TRAINING.linear):
        with torch.autocast("cpu", torch.bfloat16):
            y = run(x, [Prefix(weight, bias)], Groups([0, rows]), "gelu")
        grads = torch.autograd.grad(y.float().square().mean(), (x, weight, bias))
        found.append((y, *grads))
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape
        assert relative_error(other, one.double()) < TOLERANCE[torch.bfloat16]


def test_without_autocast_rows_stay() -> None:
    x, views = torch.randn(5, K), [Prefix(torch.randn(N, K), None)]
    alone = Groups([0, 5])
    assert torch.equal(TRAINING.linear(x, views, alone), reference.linear(x, views, alone))
