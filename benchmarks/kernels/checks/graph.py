"""A captured CUDA graph, replayed with other offsets; and a second card, where there is one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from nestling.kernels.layout import Groups
from nestling.kernels.prefix import Prefix

from ..devices import Random, operations_on, stream_on
from ..record import Named, Row
from . import linear
from .check import check, differing, dtypes

BEFORE, AFTER = (0, 10, 96), (0, 60, 96)
"""Offsets at the capture, and at the replay."""
N, K = (256, 64), (128, 32)


def checks(device: torch.device) -> list[Named]:
    """None on a CPU, which captures nothing."""
    if device.type != "cuda":
        return []
    named: list[Named] = []
    for dtype in dtypes():
        for title, run in (("linear", replayed_linear), ("norm", replayed_norm)):
            named.append((f"graph of {title} {dtype}", partial(run, device, dtype)))
    named.append(("a second card", partial(second_card, device)))
    return named


def replayed_linear(device: torch.device, dtype: torch.dtype) -> Row:
    """Widths of a group that follow its rows wherever the offsets are moved."""
    random, operation = Random(device), operations_on(device).linear
    x, w, b = (random.normal(*shape, dtype=dtype) for shape in ((96, 128), (256, 128), (256,)))
    prefixes = [Prefix(w[:n, :k], b[:n]) for n, k in zip(N, K, strict=True)]
    groups, moved = Groups(BEFORE), Groups(AFTER)
    expected = operation(x, prefixes, moved)
    y = _replayed(groups, device, lambda: operation(x, prefixes, groups))
    error = sum(
        differing(y[rows, :n], expected[rows, :n]) for rows, n in zip(moved, N, strict=True)
    )
    return check("linear in a graph", dtype, f"{BEFORE} replayed as {AFTER}", error, 0.0)


def replayed_norm(device: torch.device, dtype: torch.dtype) -> Row:
    random, operation = Random(device), operations_on(device).norm
    x, weight, bias = (random.normal(*shape, dtype=dtype) for shape in ((96, 128), (128,), (128,)))
    prefixes = [Prefix(weight[:d], bias[:d]) for d in K]
    groups, moved = Groups(BEFORE), Groups(AFTER)
    expected = operation(x, None, prefixes, moved, 1e-6)
    y = _replayed(groups, device, lambda: operation(x, None, prefixes, groups, 1e-6))
    error = sum(
        differing(y[rows, :d], expected[rows, :d]) for rows, d in zip(moved, K, strict=True)
    )
    return check("norm in a graph", dtype, f"{BEFORE} replayed as {AFTER}", error, 0.0)


def _replayed(groups: Groups, device: torch.device, run: Callable[[], Tensor]) -> Tensor:
    """What a graph gives that was captured at BEFORE, once its offsets are those of AFTER."""
    stream = stream_on(device)
    torch.cuda.synchronize(device)
    with torch.cuda.stream(stream):
        run()  # compiles, and takes the offsets to the device
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.stream(torch.cuda.current_stream(device)):
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            y = run()
        groups.on(device).copy_(torch.tensor(AFTER, dtype=torch.int32))
        graph.replay()
    torch.cuda.synchronize(device)
    return y.clone()


def second_card(device: torch.device) -> Row:
    """The same product on another card, which is then the current one, as a worker sets it."""
    count = torch.cuda.device_count()
    if count < 2:
        return {"name": "a second card", "passed": True, "not_run": "there is one card"}
    other = torch.device("cuda", (device.index + 1) % count)
    try:
        torch.cuda.set_device(other)
        found = linear.sliced(other, torch.bfloat16, (33, 63, 100))
        torch.cuda.synchronize(other)
    finally:
        torch.cuda.set_device(device)
    return found | {"name": f"sliced linear on {other}"}
