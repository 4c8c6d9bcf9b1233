"""The watch sees what it is there for: small kernels, each with one thing wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import triton
from triton import language as tl
from triton.runtime.errors import InterpreterError

from .watch import watched


@triton.jit
def copy(x, y, first, last, n, masked: tl.constexpr, size: tl.constexpr):
    """y[first:last] = x[first:last], at most `size` numbers."""
    at = first + tl.arange(0, size)
    values = tl.load(x + at, mask=at < n) if masked else tl.load(x + at, mask=at < last, other=0)
    tl.store(y + at, values, mask=at < last)


@triton.jit
def copy_all(x, y, n, step: tl.constexpr, size: tl.constexpr):
    """Each program copies `size` numbers, and begins `step` numbers after the program before."""
    at = tl.program_id(0) * step + tl.arange(0, size)
    tl.store(y + at, tl.load(x + at, mask=at < n, other=0), mask=at < n)


@triton.jit
def copy_or_not(x, y, n, size: tl.constexpr):
    """One condition for all numbers, which the interpreter keeps as integers."""
    at = tl.arange(0, size)
    values = tl.load(x + at, mask=at < n, other=0)
    tl.store(y + at, values, mask=n > 0)


@triton.jit
def count(y):
    tl.atomic_add(y, 1)


def vector(length: int) -> torch.Tensor:
    return torch.arange(float(length))


@pytest.mark.parametrize(
    ("first", "last", "n", "message"),
    [
        (0, 8, 9, r"loads from bytes 0 to 36 of x, which has 32"),
        (-1, 8, 8, r"loads from bytes -4 to 32 of x"),
        (0, 9, 8, r"stores to bytes 0 to 36 of y"),
    ],
)
def test_refuses_what_lies_outside(first: int, last: int, n: int, message: str) -> None:
    with watched(), pytest.raises(InterpreterError, match=message):
        copy[(1,)](vector(8), vector(8), first, last, n, True, 16)


def test_refuses_what_one_condition_lets_through() -> None:
    with watched(), pytest.raises(InterpreterError, match="stores to bytes 0 to 64 of y"):
        copy_or_not[(1,)](vector(8), vector(8), 8, 16)


def test_a_vector_of_integers_ends_where_it_ends() -> None:
    offsets = torch.tensor([0, 3, 9, 99, 99], dtype=torch.int32)
    y = torch.zeros(5, dtype=torch.int32)
    with watched():
        copy[(1,)](offsets, y, 0, 5, 5, True, 8)
    with watched(), pytest.raises(InterpreterError, match="bytes 0 to 20 of x, which has 12"):
        copy[(1,)](offsets[:3], y, 0, 5, 5, True, 8)


def test_a_view_of_numbers_stands_for_all_that_lies_beside_it() -> None:
    with watched() as watch:
        x, y = vector(8), torch.zeros(8)
        copy[(1,)](x[:2], y[:3], 0, 3, 3, True, 4)
    assert watch.loads(x).tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert watch.stores(y).tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert watch.stores(y.view(4, 2)[:, 1]).tolist() == [1, 0, 0, 0]


def test_what_a_mask_leaves_out_is_nothing_to_build_on() -> None:
    y = torch.zeros(8, dtype=torch.bfloat16)
    with watched():
        copy[(1,)](vector(8).bfloat16(), y, 0, 8, 3, True, 8)
    assert y.isnan().tolist() == [False] * 3 + [True] * 5


@pytest.mark.parametrize(
    ("step", "same", "message"),
    [
        (3, False, "programs 0 and 1 store to one place"),
        (4, True, "program 1 loads what program 0 stores"),
    ],
)
def test_two_programs_do_not_meet(step: int, same: bool, message: str) -> None:
    x = vector(12)
    y = x if same else torch.zeros(12)
    with watched() as watch:
        copy_all[(3,)](x, torch.zeros(12), 12, 4, 4)
        assert (watch.loads(x) == 1).all()
        copy_all[(3,)](x, x, 12, 4, 4)  # each its own
        with pytest.raises(AssertionError, match=message):
            copy_all[(3,)](x, y[1:] if same else y, 11, step, 4)


def test_none_counts_on_others() -> None:
    with watched(), pytest.raises(InterpreterError, match="program 0 counts on others"):
        count[(2,)](torch.zeros(1, dtype=torch.int32))


def test_launches_are_as_before_once_it_is_over() -> None:
    arguments: Any = (vector(8), torch.zeros(8), 0, 8, 8, True, 8)
    with watched() as watch:
        copy[(1,)](*arguments)
    copy[(1,)](*arguments)
    count[(2,)](torch.zeros(1, dtype=torch.int32))
    assert watch.stores(arguments[1]).tolist() == [1] * 8
