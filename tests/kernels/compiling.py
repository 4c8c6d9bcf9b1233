"""Compiles what a call of an operation would launch on a GPU that need not be there. Runs in
processes of its own, without the interpreter that the other tests use.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # they import Triton, which looks for the interpreter then
    from benchmarks.kernels.resources import Resources
    from nestling.kernels.tiles import Tile

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
TEXTS, TOKENS, HEADS, HEAD_DIM, LABELS = 6, 5, 4, 32, 150


@dataclass(frozen=True)
class Call:
    """Of an operation. widths: outputs and inputs of linear by group, or the dims of a norm."""

    operation: str
    dtype: str
    widths: tuple[tuple[int, ...], ...] = ()
    activation: str = "gelu"
    tile: Tile | None = None


def prepare() -> None:
    """Of each process, before it imports the kernels."""
    os.environ.pop("TRITON_INTERPRET", None)
    os.environ["TRITON_CACHE_DIR"] = tempfile.mkdtemp()


def compiled(call: Call, architecture: str) -> dict[str, Resources]:
    """What each kernel takes that the call launches, by its name."""
    from benchmarks.kernels.recorder import recorded
    from benchmarks.kernels.resources import resources

    with recorded(architecture) as launches:
        OPERATIONS[call.operation](call)
    return {
        launch.variant.kernel.partition(":")[2].removesuffix("_kernel"): resources(
            launch.variant.compile(architecture)
        )
        for launch in launches
    }


def _empty(call: Call, *shape: int) -> Any:
    import torch

    return torch.empty(shape, dtype=getattr(torch, DTYPES[call.dtype]), device="meta")


def _groups(count: int) -> Any:
    from nestling.kernels.layout import Groups

    return Groups(range(0, TEXTS * TOKENS + 1, TEXTS * TOKENS // count))


def _prefixes(call: Call, sizes: Sequence[tuple[int, ...]]) -> list[Any]:
    from nestling.kernels.prefix import Prefix, prefix

    widest = [max(each) for each in zip(*sizes, strict=True)]
    weight, bias = _empty(call, *widest), _empty(call, widest[0])
    return [Prefix(prefix(weight, *each), prefix(bias, each[0])) for each in sizes]


def _linear(call: Call) -> None:
    from nestling.kernels.operations import triton_operations

    x = _empty(call, TEXTS * TOKENS, max(k for _, k in call.widths))
    views, rows = _prefixes(call, call.widths), _groups(len(call.widths))
    triton_operations().linear(x, views, rows, call.activation, tile=call.tile)


def _norm(call: Call) -> None:
    from nestling.kernels.operations import triton_operations

    x = _empty(call, TEXTS * TOKENS, max(max(each) for each in call.widths))
    views, rows = _prefixes(call, call.widths), _groups(len(call.widths))
    triton_operations().norm(x, x, views, rows, 1e-12)


def _gate(call: Call) -> None:
    import torch

    from nestling.kernels.operations import triton_operations

    labels = call.widths[0][0] if call.widths else LABELS
    of_row = torch.empty(TEXTS, device="meta")
    triton_operations().gate(_empty(call, TEXTS, labels), *[of_row] * 4)


def _attention(call: Call) -> None:
    from nestling.kernels.attention.triton import attention
    from nestling.kernels.layout import Layout

    layout = Layout((TOKENS,) * TEXTS, (TEXTS // 2,) * 2)
    q = _empty(call, TEXTS * TOKENS, HEADS * HEAD_DIM)
    attention(q, q, q, layout, layout, (HEADS, HEADS // 2), HEAD_DIM)


def _pooled_attention(call: Call) -> None:
    from nestling.kernels.layout import Layout
    from nestling.kernels.operations import triton_operations

    layout = Layout((TOKENS,) * TEXTS, (TEXTS // 2,) * 2)
    asking = Layout((1,) * TEXTS, layout.groups)
    views = _prefixes(call, call.widths)
    inner, dim = (max(each) for each in zip(*call.widths, strict=True))
    q, x = _empty(call, TEXTS, inner), _empty(call, TEXTS * TOKENS, dim)
    triton_operations().pooled_attention(q, x, views, views, asking, layout, HEAD_DIM)


OPERATIONS: dict[str, Callable[[Call], None]] = {
    "linear": _linear,
    "norm": _norm,
    "gate": _gate,
    "attention": _attention,
    "pooled_attention": _pooled_attention,
}
