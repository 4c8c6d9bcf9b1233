from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nestling.kernels.attention import reference
from nestling.kernels.attention import triton as kernel
from nestling.kernels.layout import Layout

from .buffers import TOLERANCE, poisoned, relative_error, same

Run = Callable[..., Tensor]
BOTH = pytest.mark.parametrize(
    "run", [reference.attention, kernel.attention], ids=["reference", "triton"]
)
HEAD_DIM = 5
CASES = {
    "uniform": (Layout((4, 4, 4), (3,)), (7,)),
    "one row": (Layout((1,), (1,)), (7,)),
    "ragged": (Layout((1, 9, 3), (3,)), (3,)),
    "groups": (Layout((2, 7, 1, 5, 5), (2, 0, 3)), (7, 2, 1)),
    "one group skips": (Layout((2, 7, 3), (1, 2)), (0, 4)),
    "one much longer": (Layout((3, 70, 1, 4, 5, 3, 2), (7,)), (2,)),
}


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One sequence, one head, float64."""
    scores = q.double() @ k.double().T / HEAD_DIM**0.5
    return torch.softmax(scores, dim=-1) @ v.double()


@BOTH
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_equals_float64_per_sequence_and_head(run: Run, name: str, dtype: torch.dtype) -> None:
    layout, heads = CASES[name]
    rows = layout.starts[-1]
    q, k, v = (poisoned(rows, 7 * HEAD_DIM, s, dtype) for s in range(3))
    for x in (q, k, v):
        for r, h in zip(layout.rows, heads, strict=True):
            x[r, h * HEAD_DIM :] = float("nan")
    y = run(q, k, v, layout, layout, heads, HEAD_DIM)
    assert y.shape == (rows, max(heads) * HEAD_DIM)
    for members, h in zip(layout.members, heads, strict=True):
        for sequence in range(members.start, members.stop):
            r = slice(layout.starts[sequence], layout.starts[sequence + 1])
            for head in range(h):
                c = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
                # The weights of a head's few columns are rounded before they are summed.
                exact = attend(q[r, c], k[r, c], v[r, c])
                assert relative_error(y[r, c], exact) < 3 * TOLERANCE[dtype]


@BOTH
def test_a_sequence_may_ask_from_its_first_row_alone(run: Run) -> None:
    keys = Layout((3, 6), (2,))
    q, k, v = (poisoned(9, 2 * HEAD_DIM, seed=s) for s in range(3))
    full = run(q, k, v, keys, keys, (2,), HEAD_DIM)
    first = run(q[[0, 3]], k, v, Layout((1, 1), (2,)), keys, (2,), HEAD_DIM)
    assert relative_error(first, full[[0, 3]]) < 1e-6


def test_padding_does_not_grow_with_the_longest() -> None:
    """One long sequence among short ones costs its own rows, not theirs as many times."""
    layout = Layout((12,) * 40 + (512,), (41,))
    longest = [max(layout.lengths[s] for s in each) for each in layout.alike]
    padded = sum(len(each) * n for each, n in zip(layout.alike, longest, strict=True))
    assert padded <= 2 * layout.starts[-1]
    assert len(layout.alike) == 2


@BOTH
def test_writes_only_its_own_rows_and_columns(run: Run) -> None:
    layout = Layout((4, 3, 2), (1, 1, 1))
    q, k, v = (poisoned(9, 4 * HEAD_DIM, seed=s) for s in range(3))
    out = torch.full((9, 4 * HEAD_DIM), 3.0)
    y = run(q, k, v, layout, layout, (0, 2, 0), HEAD_DIM, out)
    assert y is out
    assert (out[:4] == 3).all()
    assert (out[7:] == 3).all()
    assert (out[4:7, 2 * HEAD_DIM :] == 3).all()
    assert (out[4:7, : 2 * HEAD_DIM] != 3).all()


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_sequence_is_the_same_alone_and_in_any_batch(dtype: torch.dtype) -> None:
    layout, heads = Layout((40, 3, 70, 1), (1, 2, 1)), (4, 1, 3)
    rows = layout.starts[-1]
    q, k, v = (poisoned(rows, 4 * HEAD_DIM, s, dtype) for s in range(3))
    together = kernel.attention(q, k, v, layout, layout, heads, HEAD_DIM)
    for sequence, h in ((0, 4), (2, 1), (3, 3)):
        r = slice(layout.starts[sequence], layout.starts[sequence + 1])
        one = Layout((layout.lengths[sequence],), (1,))
        alone = kernel.attention(q[r], k[r], v[r], one, one, (h,), HEAD_DIM)
        assert same(alone, together[r, : h * HEAD_DIM])
