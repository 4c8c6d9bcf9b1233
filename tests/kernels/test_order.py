"""A launch gives the same bits in whatever order its programs run.

No kernel here has a counter that programs raise and the last to arrive reads; the gate, too, holds
a whole row in one program. These tests keep it so: each program of each launch is the first to
arrive and the last, and finds what a whole launch has already left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from nestling.kernels.layout import Groups, Layout

from .buffers import norm_prefixes, poisoned, prefixes
from .mutants import mutant
from .order import Order, first, last, natural, orders, programs_in, shuffled
from .trials.linear import SMALL
from .watch import nothing_left_in_memory, watched

Launch = Callable[[ModuleType, torch.dtype], tuple[Tensor, ...]]


def linear(kernel: ModuleType, dtype: torch.dtype, groups: Groups, n: tuple[int, ...],
           k: tuple[int, ...]) -> tuple[Tensor, ...]:  # fmt: skip
    x, weight = poisoned(groups.offsets[-1], max(k), 0, dtype), poisoned(max(n), max(k), 1, dtype)
    views = prefixes(weight, poisoned(1, max(n), 2, dtype)[0], n, k)
    y = kernel.linear(x, views, groups, "relu", tile=SMALL)
    return tuple(y[r, :n_g] for r, n_g in zip(groups, n, strict=True))


def one_group(kernel: ModuleType, dtype: torch.dtype) -> tuple[Tensor, ...]:
    return linear(kernel, dtype, Groups((0, 33)), (63,), (33,))


def several_groups(kernel: ModuleType, dtype: torch.dtype) -> tuple[Tensor, ...]:
    return linear(kernel, dtype, Groups((0, 7, 7, 20)), (33, 5, 63), (33, 16, 7))


def norm(kernel: ModuleType, dtype: torch.dtype) -> tuple[Tensor, ...]:
    groups, d = Groups((0, 2, 5, 5, 7)), (63, 7, 33, 0)
    x, residual = poisoned(7, 63, 0, dtype), poisoned(7, 63, 1, dtype)
    weight, bias = poisoned(1, 63, 2, dtype)[0], poisoned(1, 63, 3, dtype)[0]
    y = kernel.norm(x, residual, norm_prefixes(weight, bias, d), groups, 1e-6)
    return tuple(y[r, : d_g or 63] for r, d_g in zip(groups, d, strict=True))


def gate(kernel: ModuleType, dtype: torch.dtype) -> tuple[Tensor, ...]:
    logits = poisoned(100, 100, 0, dtype)
    decision: tuple[Tensor, ...] = kernel.gate(
        logits,
        torch.linspace(0.3, 3, 100),
        torch.linspace(0, 0.9, 100),
        torch.arange(100) % 4.0,
        torch.linspace(0, 0.9, 100),
    )
    return decision


def attention(kernel: ModuleType, dtype: torch.dtype) -> tuple[Tensor, ...]:
    layout, heads = Layout((9, 33), (1, 0, 1)), (2, 1, 1)
    q, k, v = (poisoned(layout.starts[-1], 14, seed, dtype) for seed in range(3))
    y = kernel.attention(q, k, v, layout, layout, heads, 7)
    return tuple(y[r, : 7 * h] for r, h in zip(layout.rows, heads, strict=True))


def pooled_attention(kernel: ModuleType, dtype: torch.dtype) -> tuple[Tensor, ...]:
    asking, offering = Layout((1,) * 5, (2, 0, 2, 1)), Layout((9, 2, 7, 1, 3), (2, 0, 2, 1))
    q, x = poisoned(5, 21, 0, dtype), poisoned(offering.starts[-1], 33, 1, dtype)
    key, value = poisoned(21, 33, 2, dtype), poisoned(21, 33, 3, dtype)
    n, d = (21, 7, 14, 0), (33, 7, 20, 0)
    bias = poisoned(1, 21, 4, dtype)[0]
    y = kernel.pooled_attention(
        q, x, prefixes(key, bias, n, d), prefixes(value, bias, n, d), asking, offering, 7
    )
    return tuple(y[r, :n_g] for r, n_g in zip(asking.rows, n, strict=True))


LAUNCHES: dict[str, tuple[str, Launch]] = {
    "linear of one group": ("linear.triton", one_group),
    "linear of several groups": ("linear.triton", several_groups),
    "norm": ("norm.triton", norm),
    "gate": ("gate.triton", gate),
    "attention": ("attention.triton", attention),
    "pooled attention": ("pooled_attention.triton", pooled_attention),
}
"""The module of a kernel, and what launches it on a few programs."""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    with nothing_left_in_memory():
        yield


def bits(made: tuple[Tensor, ...]) -> list[bytes]:
    return [each.contiguous().view(torch.uint8).numpy().tobytes() for each in made]


def differing(name: str, kernel: ModuleType, dtype: torch.dtype) -> list[str]:
    """The orders in which the launch gives other bits than in the natural one; that one, too, if it
    shows what nobody had written.
    """
    launch = LAUNCHES[name][1]
    with programs_in(natural) as sizes:
        made = launch(kernel, dtype)
    if not all(each.isfinite().all() for each in made):
        return ["natural"]
    expected = bits(made)
    assert max(sizes) > 4, f"{sizes} programs: too few to tell one order from another"
    found = []
    for order, of in orders(max(sizes)).items():
        with programs_in(of, times=2 if "shuffled" in order else 1):
            if bits(launch(kernel, dtype)) != expected:
                found.append(order)
    return found


@pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize("name", LAUNCHES)
def test_gives_the_same_bits_in_any_order(name: str, dtype: torch.dtype) -> None:
    assert not differing(name, import_module(f"nestling.kernels.{LAUNCHES[name][0]}"), dtype)


@pytest.mark.parametrize("name", LAUNCHES)
def test_no_program_waits_for_another_or_reads_what_it_wrote(name: str) -> None:
    module, launch = LAUNCHES[name]
    with watched():
        launch(import_module(f"nestling.kernels.{module}"), torch.float32)


LEANING = {
    "on the next row, if it is there": (
        "top + tl.load(accept + tl.minimum(row + 1, rows - 1), mask=there) * 0.5"
    ),
    "on the row before": "top + 0.5 * tl.load(confidence + tl.maximum(row - 1, 0), mask=there)",
    "on the last to arrive": (
        "tl.where(tl.atomic_add(label + row * 0, 1, mask=there) % 100 > 80, top, top * 2)"
    ),
    "on what was there": "top + tl.load(confidence + row, mask=there)",
}


@pytest.mark.parametrize("fault", LEANING)
def test_a_gate_that_leans_on_other_programs_is_found(fault: str, tmp_path: Path) -> None:
    kernel = mutant(
        "gate.triton",
        r"tl.store\(confidence \+ row, top, ",
        f"tl.store(confidence + row, {LEANING[fault]}, ",
        tmp_path,
    )
    assert differing("gate", kernel, torch.float32)


def test_a_program_may_be_made_the_first_or_the_last() -> None:
    assert list(last(1)(4)) == [0, 2, 3, 1]
    assert list(first(2)(4)) == [2, 0, 1, 3]
    assert list(last(5)(4)) == [0, 2, 3, 1]
    assert sorted(shuffled(1)(9)) == list(range(9)) != list(shuffled(1)(9))


def test_an_order_that_leaves_a_program_out_is_refused() -> None:
    short: Order = lambda programs: range(1, programs)  # noqa: E731
    kernel = import_module("nestling.kernels.gate.triton")
    with programs_in(short), pytest.raises(ValueError, match="is no order of"):
        gate(kernel, torch.float32)
