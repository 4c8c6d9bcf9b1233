"""Linear layers of one group and of several, against float64 on the CPU.

All that must not be read is NaN: columns of x beyond a group's k, rows and columns of the weight
beyond every group's corner. All that must not be written is NaN, and has to stay so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from nestling.kernels import tiles
from nestling.kernels.layout import Groups
from nestling.kernels.linear.triton import linear as tiled
from nestling.kernels.prefix import Prefix

from ..candidates import CANDIDATES
from ..devices import Random, operations_on
from ..record import Named, Row
from ..shapes import interpreted
from .check import BOUNDS, check, dtypes, poisoned, relative_error, same

SLICED = ((1, 7, 2000), (33, 63, 100), (100, 133, 63), (700, 256, 512), (64, 768, 3072))
"""Rows, n and k."""
OFFSETS = (0, 5, 5, 300, 331)
N, K = (8, 3, 2, 1), (4, 4, 1, 3)
"""Of each group, in units."""
UNITS = (16, 7)
"""Widths that are multiples of 16, and odd ones."""
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "tanh": torch.tanh,
}
ALONE = (slice(0, 1), slice(0, 65), slice(3, None))


def checks(device: torch.device) -> list[Named]:
    named: list[Named] = []
    for dtype in dtypes():
        for shape in SLICED[: 3 if interpreted() else None]:
            named.append((f"sliced {dtype} {shape}", partial(sliced, device, dtype, shape)))
        for unit in UNITS:
            named.append((f"grouped {dtype} {unit}", partial(grouped, device, dtype, unit)))
        for activation in ACTIVATIONS if dtype != torch.float16 else ():
            run = partial(activated, device, dtype, activation)
            named.append((f"{activation} {dtype}", run))
        for index in range(len(CANDIDATES[tiles.architecture(device)][tiles.kind(dtype)])):
            for size in ((256, 512), (133, 100))[: 1 if index else 2]:
                run = partial(alone, device, dtype, index, size)
                named.append((f"alone {dtype} {index} {size}", run))
        named.append((f"grouped alone {dtype}", partial(grouped_alone, device, dtype)))
    return named


def sliced(device: torch.device, dtype: torch.dtype, shape: tuple[int, int, int]) -> Row:
    """Rows that are not contiguous, with a poisoned margin around all that is read."""
    rows, n, k = shape
    random = Random(device)
    x, w, b = surrounded(random, dtype, rows, n, k)
    out = poisoned(rows, n + 9, x)
    y = operations_on(device).linear(x, [Prefix(w[:n, :k], b[:n])], Groups((0, rows)), out=out)
    error = relative_error(y[:, :n], product(x[:, :k], w[:n, :k], b[:n]))
    if not y[:, n:].isnan().all():
        error = float("inf")
    return check("sliced linear", dtype, shape, error, BOUNDS[dtype])


def surrounded(
    random: Random, dtype: torch.dtype, rows: int, n: int, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """x, weight and bias, whose leading parts hold numbers, and the rest NaN."""
    x = random.normal(rows, k + 3, dtype=dtype)
    w, b = random.normal(n + 5, k + 1, dtype=dtype), random.normal(n + 5, dtype=dtype)
    x[:, k:], w[n:], w[:, k:], b[n:] = (float("nan"),) * 4
    return x, w, b


def product(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    """In float64, on the CPU."""
    bias = None if b is None else b.cpu().double()
    return F.linear(x.cpu().double(), w.cpu().double(), bias)


def mixture(random: Random, dtype: torch.dtype, unit: int) -> tuple[Tensor, list[Prefix]]:
    """x, NaN beyond each group's k, and each group's corner of one weight."""
    n, k = [unit * i for i in N], [unit * i for i in K]
    x, w, b = surrounded(random, dtype, OFFSETS[-1], max(n), max(k))
    for group, each in zip(Groups(OFFSETS), k, strict=True):
        x[group, each:] = float("nan")
    return x, [Prefix(w[:n_g, :k_g], b[:n_g]) for n_g, k_g in zip(n, k, strict=True)]


def grouped(device: torch.device, dtype: torch.dtype, unit: int) -> Row:
    """Several groups, one of them empty: the worst of their errors."""
    x, prefixes = mixture(Random(device), dtype, unit)
    groups = Groups(OFFSETS)
    out = poisoned(OFFSETS[-1], unit * max(N) + 2, x)
    y = operations_on(device).linear(x, prefixes, groups, out=out)
    worst = 0.0
    for rows, (w, b) in zip(groups, prefixes, strict=True):
        if rows.stop > rows.start:
            n, k = w.shape
            worst = max(worst, relative_error(y[rows, :n], product(x[rows, :k], w, b)))
            if not y[rows, n:].isnan().all():
                worst = float("inf")
    return check("grouped linear", dtype, f"offsets {OFFSETS}, unit {unit}", worst, BOUNDS[dtype])


def activated(device: torch.device, dtype: torch.dtype, activation: str) -> Row:
    """Each activation, on products of the size that models have."""
    x, w, b = surrounded(Random(device), dtype, 40, 64, 96)
    y = operations_on(device).linear(x, [Prefix(w[:64, :96], b[:64])], Groups((0, 40)), activation)
    exact = product(x[:, :96], w[:64, :96], b[:64])
    error = relative_error(y, ACTIVATIONS[activation](exact))
    return check(f"linear, {activation}", dtype, (40, 64, 96), error, BOUNDS[dtype])


def alone(device: torch.device, dtype: torch.dtype, index: int, size: tuple[int, int]) -> Row:
    """Whatever the tile, and however many rows are beside a row: the same bits."""
    n, k = size
    count = 70 if interpreted() else 700
    x, w, b = surrounded(Random(device), dtype, count, n, k)
    x = x * k**-0.5
    prefix = [Prefix(w[:n, :k], b[:n])]
    tile = CANDIDATES[tiles.architecture(device)][tiles.kind(dtype)][index]
    expected = operations_on(device).linear(x, prefix, Groups((0, count)), "gelu")
    found = [tiled(x[rows], prefix, Groups((0, len(x[rows]))), "gelu", tile=tile) for rows in ALONE]
    whole = torch.cat([expected[rows] for rows in ALONE])
    name = f"a row alone and in a batch, tile {index}"
    return same(name, dtype, f"n {n}, k {k}, {tile}", torch.cat(found), whole)


def grouped_alone(device: torch.device, dtype: torch.dtype) -> Row:
    """A group in a mixed batch, and the same rows as a batch of their own."""
    x, prefixes = mixture(Random(device), dtype, 16)
    groups, linear = Groups(OFFSETS), operations_on(device).linear
    y = linear(x, prefixes, groups)
    together, apart = [], []
    for rows, prefix in zip(groups, prefixes, strict=True):
        if rows.stop > rows.start:
            own = linear(x[rows], [prefix], Groups((0, rows.stop - rows.start)))
            apart.append(own.flatten())
            together.append(y[rows, : len(prefix.weight)].flatten())
    return same(
        "a group in a batch and alone", dtype, f"{OFFSETS}", torch.cat(together), torch.cat(apart)
    )
