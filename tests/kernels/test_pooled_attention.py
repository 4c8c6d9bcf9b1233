from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nestling.kernels.attention import attention
from nestling.kernels.layout import Layout
from nestling.kernels.pooled_attention import reference
from nestling.kernels.pooled_attention import triton as kernel
from nestling.kernels.prefix import Prefix

from .buffers import TOLERANCE, poisoned, prefixes, relative_error, same

Run = Callable[..., Tensor]
BOTH = pytest.mark.parametrize(
    "run", [reference.pooled_attention, kernel.pooled_attention], ids=["reference", "triton"]
)
HEAD_DIM, HEADS, DIM = 5, 6, 23
KEY, VALUE = poisoned(HEADS * HEAD_DIM, DIM, 10), poisoned(HEADS * HEAD_DIM, DIM, 11)
VALUE_BIAS = poisoned(1, HEADS * HEAD_DIM, 12)[0]
CASES = {
    "uniform": (Layout((4, 4), (2,)), (6,), (23,)),
    "ragged": (Layout((1, 9, 3), (3,)), (4,), (17,)),
    "groups": (Layout((2, 7, 1, 5), (2, 0, 2)), (6, 1, 3), (23, 23, 9)),
    "one much longer": (Layout((3, 70, 1, 4, 5, 3, 2), (7,)), (2,), (23,)),
    "many sequences": (Layout((2, 1, 3) * 12, (20, 16)), (6, 5), (9, 23)),
}


def views(
    heads: Sequence[int], dims: Sequence[int]
) -> tuple[list[Prefix | None], list[Prefix | None]]:
    """Each group's keys and values."""
    widths = [h * HEAD_DIM for h in heads]
    return prefixes(KEY, VALUE_BIAS, widths, dims), prefixes(VALUE, VALUE_BIAS, widths, dims)


@BOTH
@pytest.mark.parametrize("name", CASES)
def test_equals_attention_with_keys_and_values_computed(run: Run, name: str) -> None:
    layout, heads, dims = CASES[name]
    asking = Layout((1,) * len(layout.lengths), layout.groups)
    q, x = poisoned(len(asking.lengths), HEADS * HEAD_DIM), poisoned(layout.starts[-1], DIM, 1)
    for r, a, h, d in zip(layout.rows, asking.rows, heads, dims, strict=True):
        x[r, d:] = float("nan")
        q[a, h * HEAD_DIM :] = float("nan")
    y = run(q, x, *views(heads, dims), asking, layout, HEAD_DIM)
    for g, (h, d) in enumerate(zip(heads, dims, strict=True)):
        if not layout.groups[g]:
            continue
        width, r = h * HEAD_DIM, layout.rows[g]
        keys = F.linear(
            x[r, :d].double(), KEY[:width, :d].double(), torch.full((width,), 0.7).double()
        )
        values = F.linear(
            x[r, :d].double(), VALUE[:width, :d].double(), VALUE_BIAS[:width].double()
        )
        expected = attention(
            q[asking.rows[g], :width].double(), keys, values,
            asking.parts[g], layout.parts[g], (h,), HEAD_DIM,
        )  # fmt: skip
        assert relative_error(y[asking.rows[g], :width], expected) < 2e-6


@BOTH
def test_writes_only_its_own_rows(run: Run) -> None:
    layout, asking = Layout((4, 3), (1, 1)), Layout((1, 1), (1, 1))
    q, x = poisoned(2, HEADS * HEAD_DIM), poisoned(7, DIM)
    out = torch.full((2, HEADS * HEAD_DIM), 3.0)
    y = run(q, x, *views((0, 2), (0, DIM)), asking, layout, HEAD_DIM, out=out)
    assert y is out
    assert (out[0] == 3).all()
    assert (out[1, 2 * HEAD_DIM :] == 3).all()
    assert (out[1, : 2 * HEAD_DIM] != 3).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("longest", [5, 64])
def test_half_precision_reads_nothing_beyond_its_own(longest: int, dtype: torch.dtype) -> None:
    """Some processors' matrix units read rows in blocks; what they find must not get in."""
    layout, asking = Layout((longest,) * 16, (16,)), Layout((1,) * 16, (16,))
    q, x = poisoned(16, 64, 0, dtype), poisoned(layout.starts[-1], 48, 1, dtype)
    key, value, bias = (poisoned(n, 48, s, dtype) for s, n in ((10, 64), (11, 64), (12, 2)))
    of = (bias.flatten()[:64], (48,), (33,))
    y = reference.pooled_attention(
        q[:, :48], x[:, :33], prefixes(key, *of), prefixes(value, *of), asking, layout, 16
    )
    assert y.isfinite().all()


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(
    ("heads", "head_dim", "dims"), [((20, 3), 8, (144, 80)), ((2, 1), 33, (7, 131))]
)
def test_half_precision_and_more_than_16_heads(
    heads: tuple[int, ...], head_dim: int, dims: tuple[int, ...], dtype: torch.dtype
) -> None:
    """Against the reference in float64, of numbers that the dtype can hold."""
    layout, asking = Layout((5, 40, 2, 33), (2, 2)), Layout((1, 1, 1, 1), (2, 2))
    n = tuple(h * head_dim for h in heads)
    q, x = poisoned(4, max(n), 0, dtype), poisoned(80, max(dims), 1, dtype)
    key, value = (poisoned(max(n), max(dims), s, dtype) * 0.3 for s in (2, 3))
    bias = poisoned(1, max(n), 4, dtype)[0]
    for r, a, h, d in zip(layout.rows, asking.rows, n, dims, strict=True):
        x[r, d:] = float("nan")
        q[a, h:] = float("nan")
    of: tuple[Any, ...] = asking, layout, head_dim
    y = kernel.pooled_attention(
        q, x, prefixes(key, bias, n, dims), prefixes(value, bias, n, dims), *of
    )
    exact = reference.pooled_attention(
        q.double(), x.double(),
        prefixes(key.double(), bias.double(), n, dims),
        prefixes(value.double(), bias.double(), n, dims), *of,
    )  # fmt: skip
    for a, h in zip(asking.rows, n, strict=True):
        # What is asked, and what is mixed, is rounded on its way.
        assert relative_error(y[a, :h], exact[a, :h]) < 8 * TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_sequence_is_the_same_alone_and_in_any_batch(dtype: torch.dtype) -> None:
    layout, heads, dims = Layout((40, 3, 70, 1), (1, 2, 1)), (4, 1, 3), (23, 9, 17)
    q, x = poisoned(4, HEADS * HEAD_DIM, 0, dtype), poisoned(layout.starts[-1], DIM, 1, dtype)
    key, value = (poisoned(HEADS * HEAD_DIM, DIM, s, dtype) for s in (2, 3))
    bias = poisoned(1, HEADS * HEAD_DIM, 4, dtype)[0]

    def run(
        rows: slice, of: slice, lengths: Layout, heads: Sequence[int], d: Sequence[int]
    ) -> Tensor:
        n = [h * HEAD_DIM for h in heads]
        asking = Layout((1,) * len(lengths.lengths), lengths.groups)
        views = prefixes(key, bias, n, d), prefixes(value, bias, n, d)
        return kernel.pooled_attention(q[of], x[rows], *views, asking, lengths, HEAD_DIM)

    together = run(slice(None), slice(None), layout, heads, dims)
    for s, g in ((0, 0), (2, 1), (3, 2)):
        rows = slice(layout.starts[s], layout.starts[s + 1])
        one = Layout((layout.lengths[s],), (1,))
        alone = run(rows, slice(s, s + 1), one, heads[g : g + 1], dims[g : g + 1])
        assert same(alone[0], together[s, : heads[g] * HEAD_DIM])


def test_refuses_what_the_kernels_would_misread() -> None:
    layout, asking = Layout((4,), (1,)), Layout((1,), (1,))
    q, x = poisoned(1, HEADS * HEAD_DIM), poisoned(4, DIM)
    key, value = views((6,), (DIM,))
    for arguments, error, message in (
        ((q.double(), x.double(), key, value), TypeError, "x: torch.float64; it must be one of"),
        ((q.half(), x, key, value), TypeError, "q: torch.float16, but x is torch.float32"),
        ((q, x.T.contiguous().T, key, value), ValueError, "x: stride 4 between columns"),
    ):
        with pytest.raises(error, match=message):
            kernel.pooled_attention(*arguments, asking, layout, HEAD_DIM)
    with pytest.raises(ValueError, match="out: "):
        kernel.pooled_attention(q, x, key, value, asking, layout, HEAD_DIM, out=q[:, :5])
    with pytest.raises(ValueError, match="head_dim: 300; a program holds at most 256"):
        kernel.pooled_attention(q, x, key, value, asking, layout, 300)
