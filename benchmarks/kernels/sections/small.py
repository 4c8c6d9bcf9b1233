"""Every kernel once on small and odd shapes, for a memory checker to watch: nothing is compared.

Data is made on the CPU, so that none but our kernels and copies are watched.
"""

from __future__ import annotations

from functools import partial

import torch

from nestling.kernels import tiles
from nestling.kernels.layout import Groups, Layout
from nestling.kernels.linear.triton import linear as tiled
from nestling.kernels.prefix import Prefix

from ..candidates import CANDIDATES
from ..devices import Random, device_of, operations_on
from ..record import Named, Record, Row
from ..shapes import half

CPU = torch.device("cpu")
OFFSETS = (0, 5, 5, 70)
N, K = (63, 16, 32), (100, 16, 7)
LENGTHS, GROUPS, HEADS, HEAD_DIM = (3, 1, 17, 12), (2, 0, 2), (3, 2, 1), 16


def run(record: Record, name: str) -> None:
    device = device_of(name)
    record.rows("kernels", launched(device))


def launched(device: torch.device) -> list[Named]:
    """By dtype."""
    return [(f"{dtype}", partial(touched, device, dtype)) for dtype in (half(), torch.float32)]


def touched(device: torch.device, dtype: torch.dtype) -> Row:
    """Launch all of them, and wait for the last. Every tensor ends where its memory does."""
    random, operations = Random(CPU), operations_on(device)

    def made(*shape: int) -> torch.Tensor:
        return random.normal(*shape, dtype=dtype).to(device)

    x, w, b = made(OFFSETS[-1], max(K)), made(max(N), max(K)), made(max(N))
    groups = Groups(OFFSETS)
    prefixes = [Prefix(w[:n, :k], b[:n]) for n, k in zip(N, K, strict=True)]
    for tile in CANDIDATES[tiles.architecture(device)][tiles.kind(dtype)]:
        tiled(x, prefixes, groups, "gelu", tile=tile)
        tiled(x, prefixes[:1], Groups((0, len(x))), tile=tile)
    operations.norm(x, x, [Prefix(b[:k], b[:k]) for k in (63, 16, 7)], groups, 1e-6)
    operations.norm(x[:, :63], None, [Prefix(b, None)], Groups((0, len(x))), 1e-6)
    rows = torch.ones(len(x)).to(device)
    operations.gate(x, rows, rows, rows, rows)
    layout, queries = Layout(LENGTHS, GROUPS), Layout((1,) * len(LENGTHS), GROUPS)
    width = max(HEADS) * HEAD_DIM
    q, k, v = (made(sum(LENGTHS), width) for _ in range(3))
    operations.attention(q, k, v, layout, layout, HEADS, HEAD_DIM)
    views = [Prefix(w[: h * HEAD_DIM, :40], b[: h * HEAD_DIM]) for h in HEADS]
    operations.pooled_attention(
        q[: len(LENGTHS)], made(sum(LENGTHS), 40), views, views, queries, layout, HEAD_DIM
    )
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return {"dtype": str(dtype).removeprefix("torch.")}
